/** How far a run is from the float64 interpreter, and how far it may be. */
import { type Computed, interpretLayer, type LayerIR } from '@espalier/ir';
import type { Numbers } from './random.ts';

/** One output, judged. */
export interface Judgement {
  readonly output: string;
  readonly elements: number;
  /** The largest distance from the interpreter's values. */
  readonly error: number;
  /** What that may be. */
  readonly allowed: number;
  /** The element that is wrong first, with what was there and what should be; null where all are right. */
  readonly wrong: { readonly index: number; readonly actual: number; readonly expected: number } | null;
}

/**
 * Compares outputs with the interpreter's. Values may differ by eight times what plain float32 evaluation differs from float64,
 * and 2e-6 of the output's largest value; integers not at all. Throws InterpretError for inputs that the layer does not take.
 */
export function judge(
  layer: LayerIR,
  dims: Readonly<Record<string, number>>,
  tensors: Readonly<Record<string, Numbers>>,
  outputs: Readonly<Record<string, { readonly data: ArrayLike<number> }>>,
): readonly Judgement[] {
  const keep = layer.tensors.filter((t) => t.role === 'output').map((t) => t.name);
  const exact = interpretLayer(layer, { dims, tensors, keep });
  const rounded = interpretLayer(layer, { dims, tensors, keep, precision: 'f32' });
  return keep.map((output) => {
    const expected = exact[output] ?? new Float64Array();
    const actual = outputs[output]?.data ?? [];
    const allowed = allowedFor(expected, rounded[output] ?? expected);
    let error = 0;
    let wrong: Judgement['wrong'] = null;
    for (let index = 0; index < expected.length; index++) {
      const [e, a] = [expected[index] ?? Number.NaN, actual[index] ?? Number.NaN];
      if (Object.is(e, a) || Math.fround(e) === a || (!walked(exact, output, index) && index < actual.length)) continue;
      const distance = Math.abs(e - a);
      if (!(distance <= allowed)) wrong ??= { index, actual: a, expected: e };
      error = Math.max(error, Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance);
    }
    if (actual.length !== expected.length)
      wrong ??= { index: Math.min(actual.length, expected.length), actual: Number.NaN, expected: Number.NaN };
    return { output, elements: expected.length, error, allowed, wrong };
  });
}

/** A walk that no value needed is recorded as −1 by the interpreter, and undefined on a device. */
function walked(exact: Readonly<Record<string, Computed>>, output: string, index: number): boolean {
  const [, target, number = ''] = /^(.*)\.(?:nodes|scores)(\.\d+)?$/.exec(output) ?? [];
  return target === undefined || exact[`${target}.nodes${number}`]?.[index] !== -1;
}

function allowedFor(exact: Computed, rounded: Computed): number {
  if (exact instanceof Int32Array) return 0;
  let apart = 0;
  let largest = 0;
  exact.forEach((value, i) => {
    const other = rounded[i] ?? value;
    if (!Number.isFinite(value) || !Number.isFinite(other)) return;
    apart = Math.max(apart, Math.abs(value - other));
    largest = Math.max(largest, Math.abs(value));
  });
  return 8 * apart + 2e-6 * largest + 1e-30;
}
