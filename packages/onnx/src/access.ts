/**
 * Reading a tensor. An index that runs over a whole axis only gives that axis its name; everything else (constants,
 * x[i, i], offsets, computed rows) is a Gather: along one axis where that suffices, else on the flattened axes concerned.
 *
 * ONNX's Gather counts negative indices from the end. An index that was not proven to be in range is therefore moved out of
 * range when it is negative, so that the run fails instead of reading a wrong row. In a branch of a select, where both
 * branches are computed, an index that is out of range reads an arbitrary element instead: the condition guards its use.
 */
import { type Expr, type Size, Sizes } from '@espalier/ir';
import { elementTypes } from './proto.ts';
import {
  elementwise,
  expand,
  i64List,
  indexValue,
  inScopeOrder,
  type Labelled,
  type Space,
  scalar,
  sizeOf,
  transpose,
  type Value,
} from './values.ts';

/** A tensor of the layer as an ONNX value. */
export interface LayerTensor {
  readonly name: string;
  readonly sizes: readonly Size[];
  readonly type: 'f32' | 'i32';
}

/** One position of an access. */
export type Subscript =
  /** The index runs over exactly this axis. */
  | { readonly kind: 'axis'; readonly index: string }
  /** Any i32 value; `proven` when it needs no check. */
  | { readonly kind: 'computed'; readonly value: Value; readonly proven: boolean };

type Computed = Extract<Subscript, { kind: 'computed' }>;

/** Sorts the indices of an access into those two. `lower` writes the computed ones. */
export function subscripts(
  space: Space,
  tensor: LayerTensor,
  access: Extract<Expr, { kind: 'access' }>,
  guarded: boolean,
  lower: (expr: Expr) => Value,
): readonly Subscript[] {
  const named = new Set<string>();
  return access.indices.map((index, position) => {
    const size = tensor.sizes[position] ?? [];
    if (index.kind === 'index' && !named.has(index.name) && Sizes.equal(sizeOf(space, index.name), size)) {
      named.add(index.name);
      return { kind: 'axis', index: index.name };
    }
    const length = Sizes.constantOf(size);
    const inside = index.kind === 'literal' && length !== null && index.value >= 0 && index.value < length;
    // A proof may rest on the condition of the select around it, and both branches are computed here.
    const proven = inside || (!guarded && access.inBounds[position] === true);
    return { kind: 'computed', value: lower(index), proven };
  });
}

const i64 = (space: Space, operand: Labelled): Labelled =>
  elementwise(space, 'Cast', [operand], { to: elementTypes.i64 });
const sizeScalar = (space: Space, size: Size): Labelled => ({ name: space.shapes.scalar(size), axes: [] });
const zero = (space: Space): Labelled => ({ name: space.builder.constant('i64', [], [0]), axes: [] });

/** True where an i64 index lies outside 0 … size − 1. */
function outside(space: Space, index: Labelled, size: Size): Labelled {
  const below = elementwise(space, 'Less', [index, zero(space)]);
  const above = elementwise(space, 'GreaterOrEqual', [index, sizeScalar(space, size)]);
  return elementwise(space, 'Or', [below, above]);
}

/** Rows of `data` along `axis` (of this size) by an i64 index that may be wrong where `wrong` says so. */
function gather(
  space: Space,
  type: 'f32' | 'i32',
  data: string,
  axis: { readonly position: number; readonly size: Size; readonly rank: number },
  index: Labelled,
  wrong: Labelled | null,
  guarded: boolean,
): string {
  const { position, size, rank } = axis;
  const attributes = { axis: position };
  if (wrong === null) return space.builder.op('Gather', [data, index.name], attributes);
  const safe = (replacement: Labelled): string =>
    // `wrong` has no axis that the index lacks, so this has the index's axes.
    expand(space, elementwise(space, 'Where', [wrong, replacement, index]), index.axes).name;
  // Not guarded: one past the end, which Gather refuses.
  if (!guarded) return space.builder.op('Gather', [data, safe(sizeScalar(space, size))], attributes);
  const length = Sizes.constantOf(size);
  if (length !== null && length > 0) return space.builder.op('Gather', [data, safe(zero(space))], attributes);
  // The axis may be empty: a row of zeros is put behind it to have something to read.
  const pads = Array.from({ length: 2 * rank }, (_, i) => (i === rank + position ? 1 : 0));
  const padded = space.builder.op('Pad', [data, i64List(space, pads), scalar(space, type, 0).name]);
  return space.builder.op('Gather', [padded, safe(sizeScalar(space, size))], attributes);
}

/** The elements that the subscripts name; the axes of the result are the indices they depend on. */
export function readTensor(space: Space, tensor: LayerTensor, given: readonly Subscript[], guarded: boolean): Value {
  let data = tensor.name;
  let places = given.map((subscript, i) => ({ subscript, size: tensor.sizes[i] ?? [] }));
  const drop = (position: number): void => {
    places = places.filter((_, i) => i !== position);
  };

  // Subscripts without axes (constants, the root of a tree) each take one slice away. From the last axis to the first.
  for (let position = places.length - 1; position >= 0; position--) {
    const place = places[position];
    if (place?.subscript.kind !== 'computed' || place.subscript.value.axes.length > 0) continue;
    const index = i64(space, place.subscript.value);
    const wrong = place.subscript.proven ? null : outside(space, index, place.size);
    const axis = { position, size: place.size, rank: places.length };
    data = gather(space, tensor.type, data, axis, index, wrong, guarded);
    drop(position);
  }

  const used = new Set(places.flatMap(({ subscript }) => (subscript.kind === 'computed' ? subscript.value.axes : [])));
  // w[k, n[t, k]]: k names an axis and moves n too, so that both must be looked up together.
  const settled = places.map(({ subscript, size }) => {
    if (subscript.kind === 'computed' || !used.has(subscript.index)) return { subscript, size };
    const computed: Computed = { kind: 'computed', value: indexValue(space, subscript.index), proven: true };
    return { subscript: computed, size };
  });
  const names = (from: readonly { readonly subscript: Subscript }[]): readonly string[] =>
    from.flatMap(({ subscript }) => (subscript.kind === 'axis' ? [subscript.index] : []));
  const computed = settled.flatMap(({ subscript, size }, position) =>
    subscript.kind === 'computed' ? [{ ...subscript, size, position }] : [],
  );
  const [only] = computed;
  if (only === undefined) return { name: data, axes: names(settled), type: tensor.type };

  if (computed.length === 1) {
    const index = i64(space, only.value);
    const wrong = only.proven ? null : outside(space, index, only.size);
    const axis = { position: only.position, size: only.size, rank: settled.length };
    const name = gather(space, tensor.type, data, axis, index, wrong, guarded);
    const [before, after] = [settled.slice(0, only.position), settled.slice(only.position + 1)];
    return { name, axes: [...names(before), ...index.axes, ...names(after)], type: tensor.type };
  }

  // Several: bring their axes to the front, make them one, and compute the place in it.
  const rest = settled.filter(({ subscript }) => subscript.kind === 'axis');
  const numbered = { name: data, axes: settled.map((_, i) => String(i)) };
  const order = [
    ...computed.map(({ position }) => position),
    ...settled.flatMap((p, i) => (rest.includes(p) ? [i] : [])),
  ];
  const fronted = transpose(space, numbered, order.map(String)).name;
  const total = Sizes.product(computed.map(({ size }) => size));
  const flattened = space.shapes.reshape(fronted, [total, ...rest.map(({ size }) => size)]);
  let place: Labelled | null = null;
  let wrong: Labelled | null = null;
  for (const { value, size, proven } of computed) {
    const index = i64(space, value);
    const row: Labelled | null = place === null ? null : elementwise(space, 'Mul', [place, sizeScalar(space, size)]);
    place = row === null ? index : elementwise(space, 'Add', [row, index]);
    if (proven) continue;
    const out = outside(space, index, size);
    wrong = wrong === null ? out : elementwise(space, 'Or', [wrong, out]);
  }
  const index = place ?? zero(space);
  const ordered = expand(space, index, inScopeOrder(space, index.axes));
  const axis = { position: 0, size: total, rank: 1 + rest.length };
  const name = gather(space, tensor.type, flattened, axis, ordered, wrong, guarded);
  return { name, axes: [...ordered.axes, ...names(rest)], type: tensor.type };
}
