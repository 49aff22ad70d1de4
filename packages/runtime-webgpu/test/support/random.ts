/** Seeded random data for tests (mulberry32). */

/** Numbers in 0 … 1 − 2⁻³², the same for the same seed. */
export function randomSource(seed: number): () => number {
  let state = (seed + 0x9e3779b9) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Floats in −2 … 2. */
export function randomFloats(length: number, seed: number): Float32Array<ArrayBuffer> {
  const next = randomSource(seed);
  return Float32Array.from({ length }, () => next() * 4 - 2);
}

/** Integers in 0 … limit − 1. */
export function randomIntegers(length: number, limit: number, seed: number): Int32Array<ArrayBuffer> {
  const next = randomSource(seed);
  return Int32Array.from({ length }, () => Math.floor(next() * limit));
}
