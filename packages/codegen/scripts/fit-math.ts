/**
 * Fits the polynomials of the pass expand-math and writes `src/passes/expand-math/coefficients.ts`.
 *
 * Each fit is a weighted minimax: the weight turns an error of the polynomial into a relative error of the function's
 * result. Lawson's iteration (least squares whose weights grow where the error is large) finds it. Coefficients are then
 * rounded to f32 one at a time, lowest power first, refitting the rest after each, so that later coefficients absorb the
 * rounding of earlier ones.
 *
 * Run: node scripts/fit-math.ts
 */
import { writeFileSync } from 'node:fs';
import erf from '@stdlib/math-base-special-erf';

interface Fit {
  readonly name: string;
  readonly comment: string;
  readonly degree: number;
  readonly from: number;
  readonly to: number;
  /** The function the polynomial stands for. */
  readonly target: (x: number) => number;
  /** d(relative error of the result) / d(polynomial). */
  readonly weight: (x: number) => number;
}

const fits: readonly Fit[] = [
  {
    name: 'expTail',
    comment: 'e^r = 1 + r + r²·q(r), |r| ≤ ln 2 / 2',
    degree: 4,
    from: -0.3467,
    to: 0.3467,
    target: (r) => (Math.abs(r) < 0.02 ? series(r, expTailSeries) : (Math.expm1(r) - r) / (r * r)),
    // Between the needs of exp (relative to e^r) and of tanh (relative to expm1(r)).
    weight: (r) => Math.abs(r) + r * r,
  },
  {
    name: 'exp2',
    comment: '2^f, |f| ≤ 1/2, for the far part of erf',
    degree: 5,
    from: -0.5,
    to: 0.5,
    target: (f) => 2 ** f,
    weight: (f) => 2 ** -f,
  },
  {
    name: 'lnTail',
    comment: 'ln(1 + f) = f + f²·q(f), −1/3 ≤ f ≤ 1/3',
    degree: 8,
    from: -0.33334,
    to: 0.33334,
    target: (f) => (Math.abs(f) < 0.02 ? series(f, lnTailSeries) : (Math.log1p(f) - f) / (f * f)),
    weight: (f) => (f === 0 ? 0 : (f * f) / Math.abs(Math.log1p(f))),
  },
  {
    name: 'erfNear',
    comment: 'erf(t) = t + t·q(t²), 0 ≤ t ≤ 0.9; argument z = t²',
    degree: 5,
    from: 0,
    to: 0.9 * 0.9,
    target: (z) => (z === 0 ? 2 / Math.sqrt(Math.PI) : erf(Math.sqrt(z)) / Math.sqrt(z)) - 1,
    weight: (z) => (z === 0 ? Math.sqrt(Math.PI) / 2 : Math.sqrt(z) / erf(Math.sqrt(z))),
  },
  {
    name: 'erfFar',
    comment: 'erf(t) = 1 − 2^q(t), 0.9 ≤ t ≤ 4',
    degree: 6,
    from: 0.9,
    to: 4,
    target: (t) => Math.log2(1 - erf(t)),
    weight: (t) => (Math.LN2 * (1 - erf(t))) / erf(t),
  },
];

const expTailSeries = [1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880];
const lnTailSeries = [-1 / 2, 1 / 3, -1 / 4, 1 / 5, -1 / 6, 1 / 7, -1 / 8, 1 / 9, -1 / 10, 1 / 11];
const series = (x: number, coefficients: readonly number[]): number =>
  coefficients.reduceRight((sum, c) => sum * x + c, 0);

/** Least squares by Householder reflections; `rows` (consumed) are [a₀ … aₙ₋₁, b]. */
function leastSquares(rows: Float64Array[], n: number): number[] {
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let k = 0; k < n; k++) {
    let norm = 0;
    for (let i = k; i < rows.length; i++) norm += at(i, k) ** 2;
    norm = Math.sqrt(norm) * (at(k, k) > 0 ? -1 : 1);
    const v = rows.map((_, i) => (i < k ? 0 : i === k ? at(k, k) - norm : at(i, k)));
    const length = v.reduce((sum, x) => sum + x * x, 0);
    for (let j = k; j <= n; j++) {
      const dot = v.reduce((sum, x, i) => sum + x * at(i, j), 0);
      rows.forEach((row, i) => {
        row[j] = at(i, j) - (2 * dot * (v[i] ?? 0)) / length;
      });
    }
  }
  const x: number[] = new Array<number>(n).fill(0);
  for (let k = n - 1; k >= 0; k--) {
    let sum = at(k, n);
    for (let j = k + 1; j < n; j++) sum -= at(k, j) * (x[j] ?? 0);
    x[k] = sum / at(k, k);
  }
  return x;
}

interface Point {
  readonly x: number;
  readonly y: number;
  readonly weight: number;
}

const errorAt = (p: Point, coefficients: readonly number[]): number =>
  Math.abs((series(p.x, coefficients) - p.y) * p.weight);

/** The best coefficients found with the first of them fixed, in the largest weighted error. */
function minimax(points: readonly Point[], degree: number, fixed: readonly number[]): number[] {
  const free = degree + 1 - fixed.length;
  let lawson = points.map(() => 1 / points.length);
  let best = { error: Infinity, coefficients: [...fixed] };
  for (let round = 0; round < 150; round++) {
    const rows = points.map((p, i) => {
      const scale = Math.sqrt(lawson[i] ?? 0) * p.weight;
      const row = new Float64Array(free + 1);
      for (let j = 0; j < free; j++) row[j] = scale * p.x ** (fixed.length + j);
      row[free] = scale * (p.y - series(p.x, fixed));
      return row;
    });
    const coefficients = [...fixed, ...leastSquares(rows, free)];
    const errors = points.map((p) => errorAt(p, coefficients));
    const largest = Math.max(...errors);
    if (largest < best.error) best = { error: largest, coefficients };
    lawson = lawson.map((w, i) => w * ((errors[i] ?? 0) / largest + 1e-3));
    const total = lawson.reduce((a, b) => a + b);
    lawson = lawson.map((w) => w / total);
  }
  return best.coefficients;
}

function fitRounded(fit: Fit): { readonly coefficients: readonly number[]; readonly error: number } {
  const count = 400;
  const points = Array.from({ length: count }, (_, i): Point => {
    const x = (fit.from + fit.to) / 2 + ((fit.to - fit.from) / 2) * Math.cos((Math.PI * (i + 0.5)) / count);
    return { x, y: fit.target(x), weight: fit.weight(x) };
  });
  const rounded: number[] = [];
  while (rounded.length <= fit.degree) {
    const next = minimax(points, fit.degree, rounded)[rounded.length];
    if (next === undefined) throw new Error(`${fit.name}: the fit gave too few coefficients`);
    rounded.push(Math.fround(next));
  }
  return { coefficients: rounded, error: Math.max(...points.map((p) => errorAt(p, rounded))) };
}

const header = `/**
 * Coefficients of the polynomials in expansions.ts, lowest power first; every number is exactly an f32.
 * Written by scripts/fit-math.ts: weighted minimax fits, rounded to f32. "error" is the polynomial's own share of the
 * relative error of the result, in units of 2^-24; rounding while evaluating comes on top and is measured by the tests.
 */
`;
/** The numbers in as few lines as fit, as the formatter wants them. */
function wrap(numbers: readonly number[]): string {
  const lines: string[] = [];
  for (const text of numbers.map((n) => `${n},`)) {
    const longer = `${lines.at(-1) ?? ' '} ${text}`;
    if (lines.length > 0 && longer.length <= 120) lines[lines.length - 1] = longer;
    else lines.push(`  ${text}`);
  }
  return lines.join('\n');
}

const tables = fits.map((fit) => {
  const { coefficients, error } = fitRounded(fit);
  const share = (error * 2 ** 24).toFixed(2);
  return `/** ${fit.comment}; error ${share}. */\nexport const ${fit.name}: readonly number[] = [\n${wrap(coefficients)}\n];\n`;
});
writeFileSync(new URL('../src/passes/expand-math/coefficients.ts', import.meta.url), `${header}\n${tables.join('\n')}`);
