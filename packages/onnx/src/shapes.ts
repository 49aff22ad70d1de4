/**
 * Sizes while the model runs. A runtime dim is read off the shape of a model input that shows it; sizes over dims become
 * small int64 computations on those, which ONNX Runtime folds away where everything is constant.
 */
import { type Graph, type Size, Sizes } from '@espalier/ir';
import type { Builder } from './builder.ts';

/** Where the value of a runtime dim comes from. */
type Source =
  /** The size of `axis` of `input` is `factor · dim + offset`. */
  { readonly input: string; readonly axis: number; readonly factor: number; readonly offset: number } | null;

function sourceOf(graph: Graph, dim: string): Source {
  let best: Source = null;
  for (const input of graph.inputs) {
    for (const [axis, size] of (graph.tensors.get(input)?.shape ?? []).entries()) {
      const [term, rest] = size;
      const linear = term?.dims.length === 1 && term.dims[0] === dim && (rest?.dims.length ?? 0) === 0;
      if (!linear) continue;
      const source = { input, axis, factor: term.coefficient, offset: rest?.coefficient ?? 0 };
      if (source.factor === 1 && source.offset === 0) return source;
      best ??= source;
    }
  }
  return best;
}

/**
 * The runtime dims that the model takes as an input of their own, int64 of shape [], named as the dim: those that no input's
 * shape shows alone (x[B*S, D] shows neither B nor S), in the order of `graph.dims`.
 */
export const dimInputs = (graph: Graph): readonly string[] => graph.dims.filter((dim) => sourceOf(graph, dim) === null);

/** Does the input alone say how long its axes are, so that its shape cannot contradict the dims? */
export function settlesItsDims(graph: Graph, input: string): boolean {
  const shape = graph.tensors.get(input)?.shape ?? [];
  return shape.every((size, axis) => {
    if (Sizes.constantOf(size) !== null) return true;
    const source = sourceOf(graph, Sizes.dimsOf(size)[0] ?? '');
    return source?.input === input && source.axis === axis && source.factor === 1 && source.offset === 0;
  });
}

export interface Shapes {
  /** The size as an int64 tensor of shape [1]. */
  one(size: Size): string;
  /** The size as an int64 scalar. */
  scalar(size: Size): string;
  /** The sizes as an int64 tensor of shape [sizes.length]. */
  list(sizes: readonly Size[]): string;
  /** Without a copy, the same elements under another shape. */
  reshape(value: string, sizes: readonly Size[]): string;
}

/** Sizes over the dims of this graph. */
export function createShapes(graph: Graph, builder: Builder): Shapes {
  const i64 = (...values: number[]): string => builder.constant('i64', [values.length], values);

  function dimValue(dim: string): string {
    const source = sourceOf(graph, dim);
    if (source === null) return builder.op('Reshape', [dim, i64(1)]);
    const shape = builder.op('Shape', [source.input]);
    const size = builder.op('Gather', [shape, i64(source.axis)]);
    if (source.factor === 1 && source.offset === 0) return size;
    return builder.op('Div', [builder.op('Sub', [size, i64(source.offset)]), i64(source.factor)]);
  }

  const known = new Map<string, string>();
  function one(size: Size): string {
    const text = Sizes.format(size);
    const before = known.get(text);
    if (before !== undefined) return before;
    const constant = Sizes.constantOf(size);
    const value =
      constant !== null
        ? i64(constant)
        : size
            .map((term) =>
              term.dims
                .map(dimValue)
                .reduce(
                  (product, factor) => (product === i64(1) ? factor : builder.op('Mul', [product, factor])),
                  i64(term.coefficient),
                ),
            )
            .reduce((sum, term) => builder.op('Add', [sum, term]));
    known.set(text, value);
    return value;
  }

  function list(sizes: readonly Size[]): string {
    const numbers = sizes.map(Sizes.constantOf).filter((number) => number !== null);
    if (numbers.length === sizes.length) return i64(...numbers);
    return builder.op('Concat', sizes.map(one), { axis: 0 });
  }

  return {
    one,
    scalar(size) {
      const constant = Sizes.constantOf(size);
      if (constant !== null) return builder.constant('i64', [], [constant]);
      return builder.op('Squeeze', [one(size), i64(0)]);
    },
    list,
    // allowzero: a size of 0 means 0, not "as it was".
    reshape: (value, sizes) => builder.op('Reshape', [value, list(sizes)], { allowzero: 1 }),
  };
}

/** The size as a model declares it: a number, or the text of the symbolic size. */
export const declaredSize = (size: Size): number | string =>
  Sizes.dimsOf(size).length === 0 ? (Sizes.constantOf(size) ?? 0) : Sizes.format(size);
