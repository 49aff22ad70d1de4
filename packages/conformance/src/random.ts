/** Seeded random numbers: a failing case is named by its seed. */

/** A generator of uniform numbers in [0, 1), by mulberry32. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A generator of normal numbers, by Box and Muller. */
export function normal(seed: number): () => number {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

/** The f16 bit pattern of a number, towards zero: exact for numbers that f16 holds, 0 for those too small to be normal. */
export function halfBits(value: number): number {
  const bits = new Int32Array(new Float32Array([value]).buffer)[0] as number;
  const exponent = ((bits >> 23) & 0xff) - 112;
  if (exponent <= 0) return (bits >> 16) & 0x8000;
  return ((bits >> 16) & 0x8000) | (Math.min(30, exponent) << 10) | ((bits >> 13) & 0x3ff);
}
