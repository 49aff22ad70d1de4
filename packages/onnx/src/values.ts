/**
 * Values whose axes have names. Every sub-expression of a layer is an ONNX value plus the ordered list of the indices its
 * axes stand for: `x[t, i]` has axes t and i, `x[t, i] * w[j, i]` has t, i and j. Operands are lined up by name, so that
 * ONNX's broadcasting does what index notation means.
 */
import type { Size, ValueType } from '@espalier/ir';
import type { Builder } from './builder.ts';
import type { Shapes } from './shapes.ts';

/** An ONNX value; axis number n runs over the index `axes[n]`. Its size is the index's in `Space.ranges`. */
export interface Labelled {
  readonly name: string;
  readonly axes: readonly string[];
}

/** A value of the layer: f32 is FLOAT, i32 is INT32, bool is BOOL. */
export interface Value extends Labelled {
  readonly type: ValueType;
}

/** Where values live: the model being built, and the indices of the statement being written, outermost first. */
export interface Space {
  readonly builder: Builder;
  readonly shapes: Shapes;
  readonly ranges: Map<string, Size>;
}

/** A list of axis numbers or sizes, as operators take it. */
export const i64List = (space: Space, values: readonly number[]): string =>
  space.builder.constant('i64', [values.length], values);

/** The size of an index. */
export function sizeOf(space: Space, index: string): Size {
  const size = space.ranges.get(index);
  if (size === undefined) throw new RangeError(`index ${index} is not bound by the statement`);
  return size;
}

/** The indices in the order in which the statement binds them. */
export function inScopeOrder(space: Space, axes: Iterable<string>): readonly string[] {
  const wanted = new Set(axes);
  return [...space.ranges.keys()].filter((index) => wanted.has(index));
}

/** The same elements, with axes in another order. */
export function transpose<V extends Labelled>(space: Space, value: V, axes: readonly string[]): V {
  const permutation = axes.map((axis) => value.axes.indexOf(axis));
  if (permutation.every((from, to) => from === to)) return value;
  return { ...value, name: space.builder.op('Transpose', [value.name], { perm: permutation }), axes };
}

/** The name of a value that broadcasts against others over `axes`: transposed, with an axis of size 1 for each it lacks. */
function aligned(space: Space, value: Labelled, axes: readonly string[]): string {
  const own = transpose(
    space,
    value,
    axes.filter((axis) => value.axes.includes(axis)),
  );
  const first = axes.findIndex((axis) => own.axes.includes(axis));
  if (first === -1) return own.name;
  // Leading axes of size 1 need not be written.
  const missing = axes.slice(first).flatMap((axis, i) => (own.axes.includes(axis) ? [] : [i]));
  return missing.length === 0 ? own.name : space.builder.op('Unsqueeze', [own.name, i64List(space, missing)]);
}

/** The value with exactly these axes, repeated along those it lacks. */
export function expand<V extends Labelled>(space: Space, value: V, axes: readonly string[]): V {
  const name = aligned(space, value, axes);
  if (axes.every((axis) => value.axes.includes(axis))) return { ...value, name, axes };
  const shape = space.shapes.list(axes.map((axis) => sizeOf(space, axis)));
  return { ...value, name: space.builder.op('Expand', [name, shape]), axes };
}

/** An operator applied element by element; operands are lined up by the names of their axes. */
export function elementwise(
  space: Space,
  type: string,
  operands: readonly Labelled[],
  attributes: Readonly<Record<string, number>> = {},
): Labelled {
  const union = new Set(operands.flatMap((operand) => operand.axes));
  const widest = operands.find((operand) => operand.axes.length === union.size);
  const axes = widest?.axes ?? inScopeOrder(space, union);
  const inputs = operands.map((operand) => aligned(space, operand, axes));
  return { name: space.builder.op(type, inputs, attributes), axes };
}

/** A constant without axes. */
export function scalar(space: Space, type: ValueType, value: number): Value {
  return { name: space.builder.constant(type, [], [value]), axes: [], type };
}

/** 0 … size − 1, along the index. */
export function indexValue(space: Space, index: string): Value {
  const limit = sizeValue(space, sizeOf(space, index));
  const inputs = [scalar(space, 'i32', 0), limit, scalar(space, 'i32', 1)].map((value) => value.name);
  return { name: space.builder.op('Range', inputs), axes: [index], type: 'i32' };
}

const INT32 = 6;
/** A size as an i32. */
export function sizeValue(space: Space, size: Size): Value {
  return { name: space.builder.op('Cast', [space.shapes.scalar(size)], { to: INT32 }), axes: [], type: 'i32' };
}
