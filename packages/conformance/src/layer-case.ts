/**
 * One case of the suite: a layer with weights and inputs, run on a device and by the float64 interpreter, compared
 * tensor by tensor, routes before values.
 */
import { evaluateSize } from '@espalier/artefact';
import { type CompileOptions, compile } from '@espalier/codegen';
import { type Computed, interpretLayer, type LayerIR, Sizes, traceLayer } from '@espalier/ir';
import { type Device, loadLayer, type OutputTensor } from '@espalier/runtime';
import { halfBits, normal, uniform } from './random.ts';

/** Inputs and weights by name, row-major: f32, i32, f16 (bit patterns) or i8 elements as the layer stores them. */
export type Tensors = Readonly<Record<string, Float32Array | Int32Array | Uint16Array | Int8Array>>;

/** How a run differed. */
export interface Difference {
  readonly tensor: string;
  /** Of the first element that differs; −1 when the numbers of elements do. */
  readonly index: number;
  readonly expected: number;
  readonly actual: number;
  readonly allowed: number;
}

/** A layer with data and what it should give: computed once, compared with any number of runs. */
export interface Reference {
  /** The layer with its descents traced. */
  readonly layer: LayerIR;
  readonly dims: Readonly<Record<string, number>>;
  readonly tensors: Tensors;
  /** Outputs by name, the records of routes among them. */
  readonly expected: Readonly<Record<string, Computed>>;
  /** How far each output's values may be off. */
  readonly allowed: Readonly<Record<string, number>>;
}

/** The number of elements of each input and weight. Throws RangeError for a dim without a value. */
export function tensorLengths(layer: LayerIR, dims: Readonly<Record<string, number>>): ReadonlyMap<string, number> {
  const values = new Map(Object.entries(dims));
  const taken = layer.tensors.filter((t) => t.role === 'input' || t.role === 'weight');
  return new Map(taken.map((t) => [t.name, t.shape.reduce((n, s) => n * Sizes.evaluate(s, values), 1)]));
}

/**
 * Random inputs and weights of a layer: normal numbers, weights scaled by their fan-in; integers from 0 below
 * `integers[name]` (2 where it says nothing).
 */
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
  for (const [name, length] of tensorLengths(layer, dims)) {
    const t = layer.tensors.find((x) => x.name === name);
    const last = t?.shape.at(-1);
    const fan = last === undefined ? 1 : Sizes.evaluate(last, values);
    const scale = t?.role === 'weight' && t.shape.length > 1 ? 1.2 / Math.sqrt(Math.max(1, fan)) : 1;
    const below = integers[name] ?? 2;
    if (t?.storage === 'i32') tensors[name] = Int32Array.from({ length }, () => Math.floor(flat() * below));
    else if (t?.storage === 'i8') tensors[name] = Int8Array.from({ length }, () => Math.floor(flat() * 255) - 127);
    else if (t?.storage === 'f16') tensors[name] = Uint16Array.from({ length }, () => halfBits(gauss() * scale));
    else tensors[name] = Float32Array.from({ length }, () => gauss() * scale);
  }
  return tensors;
}

/**
 * What a layer gives. Values may differ by `tolerance`, or without it by eight times what plain float32 evaluation differs
 * from float64, and 2e-6 of the tensor's largest value. Integers and routes must be equal.
 */
export function referenceOf(
  ir: LayerIR,
  dims: Readonly<Record<string, number>>,
  tensors: Tensors,
  tolerance?: number,
): Reference {
  const layer = traceLayer(ir);
  const outputs = layer.tensors.filter((t) => t.role === 'output').map((t) => t.name);
  const expected = interpretLayer(layer, { dims, tensors, strict: true, keep: outputs });
  const rounded = interpretLayer(layer, { dims, tensors, precision: 'f32', keep: outputs });
  const allowed = Object.fromEntries(
    Object.entries(expected).map(([name, values]) => {
      const { apart, largest } = spread(values, rounded[name] as Computed);
      return [name, values instanceof Int32Array ? 0 : (tolerance ?? 8 * apart + 2e-6 * largest + 1e-30)];
    }),
  );
  return { layer, dims, tensors, expected, allowed };
}

/** The largest distance between the finite values of two tensors, and the largest magnitude in the first. */
export function spread(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): { readonly apart: number; readonly largest: number } {
  let apart = 0;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const value = a[i] as number;
    const other = b[i] as number;
    if (!Number.isFinite(value) || !Number.isFinite(other)) continue;
    apart = Math.max(apart, Math.abs(value - other));
    largest = Math.max(largest, Math.abs(value));
  }
  return { apart, largest };
}

/** A device whose buffers start out full of NaN, so that an element nobody wrote shows. */
export const poisoned = (device: Device): Device => ({
  info: device.info,
  alignment: device.alignment,
  createBuffer: (byteLength, label) => {
    const buffer = device.createBuffer(byteLength, label);
    buffer.write(new Uint8Array(buffer.byteLength).fill(0xff));
    return buffer;
  },
  load: (artefact) => device.load(artefact),
  prepare: (launches) => device.prepare(launches),
  [Symbol.dispose]: () => device[Symbol.dispose](),
});

/** Compiles the layer of a reference and runs it on poisoned memory. Rejects as `compile`, `loadLayer` and `run` do. */
export async function runCompiled(
  device: Device,
  reference: Pick<Reference, 'layer' | 'dims' | 'tensors'>,
  options: CompileOptions,
): Promise<Readonly<Record<string, OutputTensor>>> {
  const { layer, dims, tensors } = reference;
  const artefact = await compile(layer, { verify: 'each', ...options });
  const pick = (wanted: string): Tensors =>
    Object.fromEntries(
      Object.entries(tensors).filter(([name]) => layer.tensors.find((t) => t.name === name)?.role === wanted),
    );
  using loaded = await loadLayer(poisoned(device), artefact, pick('weight'));
  const outputs = await loaded.run(pick('input'), { dims });
  for (const binding of artefact.manifest.bindings) {
    if (binding.role !== 'output') continue;
    const shape = binding.shape.map((s) => evaluateSize(s, dims));
    const given = outputs[binding.name]?.shape;
    if (JSON.stringify(given) !== JSON.stringify(shape))
      throw new Error(`output ${binding.name} has shape ${JSON.stringify(given)}, not ${JSON.stringify(shape)}`);
  }
  return outputs;
}

/** The first difference between a run and its reference, routes first; null when there is none. */
export function compareOutputs(
  reference: Reference,
  outputs: Readonly<Record<string, { readonly data: ArrayLike<number> }>>,
): Difference | null {
  const isRoute = (name: string): number => Number(/\.nodes(\.\d+)?$/.test(name));
  const names = Object.keys(reference.expected).sort((a, b) => isRoute(b) - isRoute(a));
  for (const name of names) {
    const expected = reference.expected[name] as Computed;
    const actual = outputs[name]?.data ?? [];
    const difference = compareValues(name, expected, actual, reference.allowed[name] ?? 0, walked(reference, name));
    if (difference !== null) return difference;
  }
  return null;
}

/** Entries of a route that no value needed (−1 in the interpreter's) are undefined on a device: which entries count. */
function walked(reference: Reference, name: string): (index: number) => boolean {
  const [, target, , number = ''] = /^(.*)\.(nodes|scores)(\.\d+)?$/.exec(name) ?? [];
  const nodes = target === undefined ? undefined : reference.expected[`${target}.nodes${number}`];
  if (nodes === undefined) return () => true;
  return (index) => nodes[index] !== -1;
}

/** The first element that differs by more than is allowed; NaN equals NaN, and infinities must agree. */
export function compareValues(
  tensor: string,
  expected: ArrayLike<number>,
  actual: ArrayLike<number>,
  allowed: number,
  counts: (index: number) => boolean = () => true,
): Difference | null {
  if (expected.length !== actual.length)
    return { tensor, index: -1, expected: expected.length, actual: actual.length, allowed: 0 };
  for (let index = 0; index < expected.length; index++) {
    const e = expected[index] as number;
    const a = actual[index] as number;
    const bothNaN = Number.isNaN(e) && Number.isNaN(a);
    // A float64 value beyond float32's range is an infinity there.
    const same = bothNaN || Math.fround(e) === a || Math.abs(e - a) <= allowed;
    if (!same && counts(index)) return { tensor, index, expected: e, actual: a, allowed };
  }
  return null;
}

export interface CaseOptions extends CompileOptions {
  /** Absolute tolerance; without it, from how far a float32 interpretation is from the float64 one. */
  readonly tolerance?: number;
}

/** Compiles and runs a layer on a device and compares every output with the interpreter: `referenceOf` says how exactly. */
export async function compareLayer(
  device: Device,
  ir: LayerIR,
  dims: Readonly<Record<string, number>>,
  tensors: Tensors,
  options: CaseOptions,
): Promise<Difference | null> {
  const { tolerance, ...compileOptions } = options;
  const reference = referenceOf(ir, dims, tensors, tolerance);
  return compareOutputs(reference, await runCompiled(device, reference, compileOptions));
}
