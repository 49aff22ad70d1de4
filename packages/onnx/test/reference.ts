/**
 * One layer, twice: by the float64 interpreter and, exported, by ONNX Runtime.
 *
 * Tolerance. ONNX Runtime computes in float32, in an order of its own. One rounding errs by at most u = 2^-24 of its result;
 * a sum of n terms by γ_n ≈ n·u of the sum of their magnitudes; a chain of statements adds such errors, stretched by what
 * divisions, exponentials and norms do to them. So a value may differ by `32 · n · u · m`, where n is the length of the
 * longest axis (no reduction is longer, except over several indices, whose lengths multiply: `terms` then says so) and m the
 * largest magnitude among the layer's tensors, but at least 1: 32 covers the few statements of a layer and the slopes of its
 * functions at inputs near 1. For n = 31 that is 6e-5; a wrong index, sign or order shows at about 1.
 */
import { type Computed, type Graph, interpretLayer, type LayerIR, Sizes, type WeightTensor } from '@espalier/ir';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import { type ExportOptions, exportOnnx } from '../src/index.ts';

/** Numbers in (−1, 1), the same for a seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * 2 - 1;
  };
}

type Data = Float32Array | Int32Array | Uint16Array | Int8Array;
export type Inputs = Readonly<Record<string, Float32Array | Int32Array>>;

const count = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

/** The bits of the float16 that is a number rounded towards zero; for |x| < 2. */
function halfBits(x: number): number {
  const scaled = Math.trunc(Math.abs(x) * 1024);
  const exponent = scaled === 0 ? 0 : 31 - Math.clz32(scaled);
  const bits = scaled === 0 ? 0 : ((exponent + 5) << 10) | ((scaled << (10 - exponent)) & 0x3ff);
  return (x < 0 ? 0x8000 : 0) | bits;
}

/** Random data for a tensor: f32 in (−1, 1), integers in 0 … most − 1. */
function fill(storage: WeightTensor['storage'], length: number, next: () => number, most: number): Data {
  const integer = (): number => Math.floor(((next() + 1) / 2) * most);
  switch (storage) {
    case 'f32':
      return Float32Array.from({ length }, next);
    case 'f16':
      return Uint16Array.from({ length }, () => halfBits(next()));
    case 'i32':
      return Int32Array.from({ length }, integer);
    case 'i8':
      return Int8Array.from({ length }, () => integer() - Math.floor(most / 2));
  }
}

/** A graph of this one layer whose tensors, weights and dims have the layer's names. */
export function graphOf(layer: LayerIR, weights: Readonly<Record<string, Data>>): Graph {
  const bound = layer.tensors.filter((decl) => decl.role === 'input' || decl.role === 'output');
  const stored = layer.tensors.filter((decl) => decl.role === 'weight');
  const same = (names: readonly { readonly name: string }[]): Map<string, string> =>
    new Map(names.map(({ name }) => [name, name]));
  return {
    name: layer.name,
    dims: layer.dims,
    tensors: new Map(
      bound.map(({ name, storage, shape }) => [name, { name, storage: storage === 'i32' ? 'i32' : 'f32', shape }]),
    ),
    inputs: bound.filter((decl) => decl.role === 'input').map((decl) => decl.name),
    outputs: bound.filter((decl) => decl.role === 'output').map((decl) => decl.name),
    nodes: [
      {
        id: 'only',
        layer,
        dims: new Map(layer.dims.map((dim) => [dim, Sizes.dim(dim)])),
        tensors: same(bound),
        weights: same(stored),
      },
    ],
    weights: new Map(
      stored.map(({ name, storage, shape }) => [
        name,
        {
          name,
          storage,
          shape: shape.map((size) => Sizes.constantOf(size) ?? 0),
          data: weights[name] ?? new Float32Array(),
        },
      ]),
    ),
  };
}

/** Exports and runs a graph; the tensors its model gives back, by name. */
export async function runOnnx(
  graph: Graph,
  dims: Readonly<Record<string, number>>,
  inputs: Inputs,
  options: ExportOptions = {},
): Promise<Map<string, { readonly shape: readonly number[]; readonly data: Float32Array | Int32Array }>> {
  const session = await InferenceSession.create(exportOnnx(graph, options), {
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  try {
    const values = new Map(Object.entries(dims));
    const feeds: Record<string, Tensor> = {};
    for (const name of session.inputNames) {
      const declared = graph.tensors.get(name);
      const data = inputs[name];
      if (declared === undefined || data === undefined) {
        feeds[name] = new Tensor('int64', [BigInt(dims[name] ?? 0)], []);
      } else {
        const shape = declared.shape.map((size) => Sizes.evaluate(size, values));
        feeds[name] =
          data instanceof Float32Array ? new Tensor('float32', data, shape) : new Tensor('int32', data, shape);
      }
    }
    const results = await session.run(feeds);
    return new Map(
      session.outputNames.map((name) => {
        const result = results[name];
        const data = result?.data;
        if (result === undefined || !(data instanceof Float32Array || data instanceof Int32Array)) {
          throw new TypeError(`output ${name} is ${result?.type}`);
        }
        return [name, { shape: result.dims, data }];
      }),
    );
  } finally {
    await session.release();
  }
}

/** Fails unless every element is within the tolerance; integers must be equal. NaN matches NaN. */
export function expectClose(
  name: string,
  actual: Float32Array | Int32Array,
  expected: Computed,
  tolerance: number,
): void {
  expect(actual.length, `${name}: length`).toBe(expected.length);
  const allowed = actual instanceof Int32Array ? 0 : tolerance;
  const wrong = Array.from(expected, (value, i) => ({ i, value, got: actual[i] ?? Number.NaN })).filter(
    ({ value, got }) => !Object.is(value, got) && !(Math.abs(value - got) <= allowed),
  );
  expect(wrong.slice(0, 3), `${name}: ${wrong.length} of ${actual.length} differ by more than ${allowed}`).toEqual([]);
}

const roundoff = 2 ** -24;

export interface Comparison {
  /** Values of the runtime dims. */
  readonly dims?: Readonly<Record<string, number>>;
  readonly seed: number;
  /** Data for some tensors; the others are random. */
  readonly data?: Readonly<Record<string, Data>>;
  /** Integers of the random ones are below this. */
  readonly most?: number;
  /** The number of terms of the longest reduction, where it runs over several indices. */
  readonly terms?: number;
  /** Every value is one operation on exact values: ONNX Runtime must give its float32, to the bit. */
  readonly rounded?: boolean;
}

/** Runs a layer both ways on random data, compares every output, and returns the reference's tensors. */
export async function compareLayer(layer: LayerIR, options: Comparison): Promise<Readonly<Record<string, Computed>>> {
  const { dims = {}, seed, data = {}, most = 2 } = options;
  const values = new Map(Object.entries(dims));
  const next = random(seed);
  const shapes = new Map(
    layer.tensors.map((decl) => [decl.name, decl.shape.map((size) => Sizes.evaluate(size, values))]),
  );
  const given: Record<string, Data> = {};
  for (const { name, role, storage } of layer.tensors) {
    if (role !== 'input' && role !== 'weight') continue;
    given[name] = data[name] ?? fill(storage, count(shapes.get(name) ?? []), next, most);
  }
  const inputs = Object.fromEntries(
    Object.entries(given).filter((pair): pair is [string, Float32Array | Int32Array] => {
      return layer.tensors.some((decl) => decl.name === pair[0] && decl.role === 'input');
    }),
  );
  const expected = interpretLayer(layer, { dims, tensors: given, strict: true });
  const actual = await runOnnx(graphOf(layer, given), dims, inputs);
  const longest = options.terms ?? Math.max(1, ...[...shapes.values()].flat());
  const magnitude = Object.values(expected)
    .flatMap((tensor) => [...tensor])
    .reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 1);
  expect(actual.size).toBeGreaterThan(0);
  for (const [name, { shape, data: values }] of actual) {
    expect(shape, `${name}: shape`).toEqual(shapes.get(name));
    const reference = expected[name];
    if (reference === undefined) throw new RangeError(`the interpreter gave no ${name}`);
    // A walk in a branch that is not taken: the interpreter leaves it out (node −1), ONNX computes both branches.
    const walked = expected[name.replace(/\.scores\b/, '.nodes')];
    const recorded = /\.(nodes|scores)\b/.test(name) ? walked : undefined;
    const wanted = reference.map((value, i) => {
      if (recorded?.[i] === -1) return values[i] ?? Number.NaN;
      return options.rounded === true && reference instanceof Float64Array ? Math.fround(value) : value;
    });
    expectClose(name, values, wanted, options.rounded === true ? 0 : 32 * longest * roundoff * magnitude);
  }
  return expected;
}
