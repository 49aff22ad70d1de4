/** A graph of one layer, to run it alone; and whether it departs from the interpreter. */
import { type Graph, interpretLayer, type LayerIR, Sizes, type WeightTensor } from '@espalier/ir';
import { FLOOR } from '../compare/tolerance.ts';
import { differenceOf } from '../compare/values.ts';
import type { Numbers, Tensor } from '../numbers.ts';

/** A layer with everything it needs for one run. */
export interface Alone {
  readonly layer: LayerIR;
  readonly dims: Readonly<Record<string, number>>;
  readonly inputs: Readonly<Record<string, Float32Array | Int32Array>>;
  readonly weights: Readonly<Record<string, WeightTensor>>;
}

/** An output of a layer that lies further from the exact one than it may. */
export interface Departure {
  /** The layer's name of the output. */
  readonly output: string;
  readonly maxAbs: number;
  readonly allowed: number;
  /** Where in the output: an index along each axis. */
  readonly at: readonly number[];
  readonly found: number;
  readonly expected: number;
}

/** Runs a one-node graph somewhere. */
export type RunGraph = (
  graph: Graph,
  inputs: ReadonlyMap<string, Tensor>,
  dims: Readonly<Record<string, number>>,
) => Promise<ReadonlyMap<string, Numbers>>;

const shapeOf = (alone: Alone, name: string): readonly number[] => {
  const dims = new Map(Object.entries(alone.dims));
  return (alone.layer.tensors.find((decl) => decl.name === name)?.shape ?? []).map((size) =>
    Sizes.evaluate(size, dims),
  );
};

/** The graph of one node whose tensors carry the layer's own names. */
export function graphOfOne({ layer, weights }: Alone, id: string): Graph {
  const decls = layer.tensors.filter((decl) => decl.role === 'input' || decl.role === 'output');
  const named = (role: 'input' | 'output'): readonly string[] =>
    decls.filter((decl) => decl.role === role).map((decl) => decl.name);
  const itself = (names: readonly string[]): ReadonlyMap<string, string> => new Map(names.map((name) => [name, name]));
  return {
    name: id,
    dims: layer.dims,
    tensors: new Map(
      decls.map(({ name, storage, shape }) => [name, { name, storage: storage === 'i32' ? 'i32' : 'f32', shape }]),
    ),
    inputs: named('input'),
    outputs: named('output'),
    nodes: [
      {
        id,
        layer,
        dims: new Map(layer.dims.map((dim) => [dim, Sizes.dim(dim)])),
        tensors: itself(decls.map((decl) => decl.name)),
        weights: itself(Object.keys(weights)),
      },
    ],
    weights: new Map(Object.entries(weights).map(([name, weight]) => [name, { ...weight, name }])),
  };
}

/** The layer's outputs by the interpreter; `f32` rounds every result. */
export function interpretAlone(alone: Alone, precision: 'f64' | 'f32'): Readonly<Record<string, Numbers>> {
  const weights = Object.entries(alone.weights).map(([name, weight]) => [name, weight.data] as const);
  const tensors: Record<string, ArrayLike<number>> = { ...alone.inputs, ...Object.fromEntries(weights) };
  const keep = alone.layer.tensors.filter((decl) => decl.role === 'output').map((decl) => decl.name);
  return interpretLayer(alone.layer, { dims: alone.dims, tensors, keep, precision });
}

/** The exact outputs, and how far a float32 program may be off: twice what the interpreter itself loses in float32. */
export function expectationOf(
  alone: Alone,
): Readonly<Record<string, { readonly values: Numbers; readonly allowed: number }>> {
  const [exact, single] = [interpretAlone(alone, 'f64'), interpretAlone(alone, 'f32')];
  return Object.fromEntries(
    Object.entries(exact).map(([name, values]) => {
      const lost = differenceOf(single[name] as Numbers, values, 1).maxAbs;
      return [name, { values, allowed: 2 * (Number.isFinite(lost) ? lost : 0) + FLOOR }];
    }),
  );
}

/** Runs the layer alone and compares; null when it agrees. Rejects with what the run rejects with. */
export async function departureOf(
  alone: Alone,
  id: string,
  run: RunGraph,
  expected: ReturnType<typeof expectationOf> = expectationOf(alone),
): Promise<Departure | null> {
  const inputs = new Map(
    Object.entries(alone.inputs).map(([name, data]) => [name, { data, shape: shapeOf(alone, name) }]),
  );
  const results = await run(graphOfOne(alone, id), inputs, alone.dims);
  let worst: Departure | null = null;
  for (const [output, { values, allowed }] of Object.entries(expected)) {
    const found = results.get(output);
    if (found === undefined) continue;
    const { maxAbs, at, ...numbers } = differenceOf(found, values, 1);
    if (maxAbs <= allowed || at === null) continue;
    if (worst !== null && maxAbs / allowed <= worst.maxAbs / worst.allowed) continue;
    worst = {
      output,
      maxAbs,
      allowed,
      at: unravel(at.column, shapeOf(alone, output)),
      found: numbers.found,
      expected: numbers.expected,
    };
  }
  return worst;
}

function unravel(index: number, shape: readonly number[]): readonly number[] {
  const at: number[] = [];
  let rest = index;
  for (const size of shape.toReversed()) {
    at.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return at;
}

/**
 * The layer on one index of a runtime dim only: the inputs cut to it, the dim 1. Null where a shape mixes the dim with others,
 * or is already 1.
 */
export function cutTo(alone: Alone, dim: string, index: number): Alone | null {
  const value = alone.dims[dim] ?? 0;
  if (value <= 1 || index >= value) return null;
  const inputs: Record<string, Float32Array | Int32Array> = {};
  for (const [name, data] of Object.entries(alone.inputs)) {
    const shape = alone.layer.tensors.find((decl) => decl.name === name)?.shape ?? [];
    const axes = shape.flatMap((size, axis) => (Sizes.dimsOf(size).includes(dim) ? [axis] : []));
    const [axis] = axes;
    if (axis === undefined) {
      inputs[name] = data;
      continue;
    }
    if (axes.length > 1 || !Sizes.equal(shape[axis] ?? [], Sizes.dim(dim))) return null;
    inputs[name] = slice(data, shapeOf(alone, name), axis, index);
  }
  return { ...alone, inputs, dims: { ...alone.dims, [dim]: 1 } };
}

function slice<T extends Float32Array | Int32Array>(data: T, shape: readonly number[], axis: number, index: number): T {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const size = shape[axis] as number;
  const cut = new (data.constructor as new (length: number) => T)(outer * inner);
  for (let o = 0; o < outer; o++) {
    const start = (o * size + index) * inner;
    cut.set(data.subarray(start, start + inner), o * inner);
  }
  return cut;
}
