/**
 * One case of the suite: a layer with weights and inputs, run on a device and by the float64 interpreter, compared
 * tensor by tensor, routes before values.
 */
import { evaluateSize } from '@espalier/artefact';
import { type CompileOptions, compile } from '@espalier/codegen';
import { type Computed, interpretLayer, type LayerIR, Sizes, traceLayer } from '@espalier/ir';
import { type Device, loadLayer } from '@espalier/runtime';
import { normal, uniform } from './random.ts';

export type Tensors = Readonly<Record<string, Float32Array | Int32Array | Uint16Array | Int8Array>>;

/** How a run differed. */
export interface Difference {
  readonly tensor: string;
  readonly index: number;
  readonly expected: number;
  readonly actual: number;
  readonly allowed: number;
}

/** Random inputs and weights of a layer: normal numbers; weights scaled by their fan-in; integers within `integers` (exclusive). */
export function randomTensors(
  layer: LayerIR,
  dims: Readonly<Record<string, number>>,
  seed: number,
  integers: Readonly<Record<string, number>> = {},
): Tensors {
  const values = new Map(Object.entries(dims));
  const gauss = normal(seed);
  const flat = uniform(seed ^ 0x5bd1e995);
  const tensors: Record<string, Float32Array | Int32Array | Uint16Array | Int8Array> = {};
  for (const t of layer.tensors) {
    if (t.role !== 'input' && t.role !== 'weight') continue;
    const shape = t.shape.map((s) => Sizes.evaluate(s, values));
    const length = shape.reduce((a, b) => a * b, 1);
    const scale = t.role === 'weight' && shape.length > 1 ? 1.2 / Math.sqrt(Math.max(1, shape.at(-1) ?? 1)) : 1;
    if (t.storage === 'i32') tensors[t.name] = Int32Array.from({ length }, () => Math.floor(flat() * (integers[t.name] ?? 2)));
    else if (t.storage === 'i8') tensors[t.name] = Int8Array.from({ length }, () => Math.floor(flat() * 255) - 127);
    else if (t.storage === 'f16') tensors[t.name] = Uint16Array.from({ length }, () => half(gauss() * scale));
    else tensors[t.name] = Float32Array.from({ length }, () => gauss() * scale);
  }
  return tensors;
}

/** The f16 bit pattern nearest below a number of moderate size. */
function half(value: number): number {
  const bits = new Int32Array(new Float32Array([value]).buffer)[0] as number;
  const exponent = ((bits >> 23) & 0xff) - 112;
  if (exponent <= 0) return (bits >> 16) & 0x8000;
  return ((bits >> 16) & 0x8000) | (Math.min(30, exponent) << 10) | ((bits >> 13) & 0x3ff);
}

export interface CaseOptions extends CompileOptions {
  /** Absolute tolerance; without it, from how far a float32 interpretation is from the float64 one. */
  readonly tolerance?: number;
}

/**
 * Compiles and runs a layer on a device and compares every output with the interpreter. Values may differ by eight times
 * what plain float32 evaluation differs from float64, and 2e-6 of the largest value. Routes (trace outputs) must be equal.
 */
export async function compareLayer(
  device: Device,
  ir: LayerIR,
  dims: Readonly<Record<string, number>>,
  tensors: Tensors,
  options: CaseOptions,
): Promise<Difference | null> {
  const layer = traceLayer(ir);
  const artefact = await compile(layer, options);
  const role = (name: string): string | undefined => layer.tensors.find((t) => t.name === name)?.role;
  const pick = (wanted: string): Tensors => Object.fromEntries(Object.entries(tensors).filter(([name]) => role(name) === wanted));
  using loaded = await loadLayer(device, artefact, pick('weight'));
  const outputs = await loaded.run(pick('input'), { dims });
  const exact = interpretLayer(layer, { dims, tensors, strict: true });
  const rounded = interpretLayer(layer, { dims, tensors, precision: 'f32' });
  const names = artefact.manifest.bindings.filter((b) => b.role === 'output').map((b) => b.name);
  names.sort((a, b) => Number(b.endsWith('.nodes')) - Number(a.endsWith('.nodes')));
  for (const name of names) {
    const expected = exact[name] as Computed;
    const shape = artefact.manifest.bindings.find((b) => b.name === name)?.shape.map((s) => evaluateSize(s, dims)) ?? [];
    const actual = outputs[name]?.data ?? new Float32Array();
    const difference = compareValues(name, expected, actual, allowance(expected, rounded[name] as Computed, options.tolerance));
    if (actual.length !== shape.reduce((a, b) => a * b, 1)) return { tensor: name, index: -1, expected: expected.length, actual: actual.length, allowed: 0 };
    if (difference !== null) return difference;
  }
  return null;
}

function allowance(exact: Computed, rounded: Computed, given: number | undefined): number {
  if (exact instanceof Int32Array) return 0;
  if (given !== undefined) return given;
  let apart = 0;
  let largest = 0;
  exact.forEach((value, i) => {
    const other = rounded[i] as number;
    if (Number.isFinite(value) && Number.isFinite(other)) {
      apart = Math.max(apart, Math.abs(value - other));
      largest = Math.max(largest, Math.abs(value));
    }
  });
  return 8 * apart + 2e-6 * largest + 1e-30;
}

/** The first element that differs by more than is allowed; NaN equals NaN, and infinities must agree. */
export function compareValues(
  tensor: string,
  expected: ArrayLike<number>,
  actual: ArrayLike<number>,
  allowed: number,
): Difference | null {
  for (let index = 0; index < Math.max(expected.length, actual.length); index++) {
    const e = expected[index] ?? Number.NaN;
    const a = actual[index] ?? Number.NaN;
    const bothNaN = Number.isNaN(e) && Number.isNaN(a);
    // A float64 value beyond float32's range is an infinity there.
    const sameInfinity = Math.fround(e) === a;
    if (index < expected.length && index < actual.length && (bothNaN || sameInfinity || Math.abs(e - a) <= allowed)) continue;
    return { tensor, index, expected: e, actual: a, allowed };
  }
  return null;
}
