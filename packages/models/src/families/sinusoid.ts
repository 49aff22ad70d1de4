/**
 * crammedBERT's position table, which is not in the checkpoint: even columns sin, odd columns cos of
 * position · exp(−ln 10000 · 2i / width).
 *
 * The original computes it in float32 step by step, and the last bit of a frequency is multiplied with the position: a table
 * in float64 is off by up to 6e-6. So the same roundings are made here, and `exp` is the one PyTorch's CPU kernels call
 * (expf of Sleef, 1.0 ulp). What remains is at most the last bit of sin and cos, 6e-8.
 */

const f = Math.fround;

/** a · b + c with one rounding: float32 products are exact in float64. */
const fma = (a: number, b: number, c: number): number => f(a * b + c);

/** Sleef's polynomial for exp on ±ln 2 / 2, highest power first, down to x². */
const EXP_TERMS = [
  0.00019852761761285365, 0.0013930435525253415, 0.008333360776305199, 0.041666485369205475, 0.1666666716337204, 0.5,
].map(f);

/** ln 2 in two parts, so that its multiples up to 2^7 are exact in the first. */
const [LN2_HIGH, LN2_LOW] = [f(0.693145751953125), f(1.428606765330187e-6)];

/** exp(x) in float32 for −80 < x ≤ 0, step by step as `Sleef_expf8_u10` with fused multiply-add. */
function expf(x: number): number {
  const power = Math.round(f(x * f(1 / Math.LN2)));
  const s = fma(power, -LN2_LOW, fma(power, -LN2_HIGH, x));
  const [first = 0, ...rest] = EXP_TERMS;
  const u = rest.reduce((sum, term) => fma(sum, s, term), first);
  return f(1 + fma(f(s * s), u, s)) * 2 ** power;
}

/**
 * The table, [positions, width] row-major.
 *
 * @param width even; the original fails for an odd one
 */
export function sinusoidTable(positions: number, width: number): Float32Array {
  const table = new Float32Array(positions * width);
  const step = f(-Math.log(10000) / width);
  for (let even = 0; even < width; even += 2) {
    const frequency = expf(f(even * step));
    for (let position = 0; position < positions; position++) {
      const angle = f(position * frequency);
      table[position * width + even] = Math.sin(angle);
      table[position * width + even + 1] = Math.cos(angle);
    }
  }
  return table;
}
