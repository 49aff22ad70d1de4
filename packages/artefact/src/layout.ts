/**
 * Memory layouts of tensors. Row-major unless a kernel wants its weights packed; packing happens once, at load, by
 * `packWeight`, from this description alone.
 */

/**
 * One dimension of the physical order, outermost first. `whole`: the axis itself. `outer` and `inner`: the axis cut into
 * blocks; the index of the block, and the place within it. The last block is padded with zeros. `pairs`: as `inner`, of an even block
 * whose first half alternates with its second, 0, 4, 1, 5, 2, 6, 3, 7; only ever the last dimension.
 */
export type LayoutDim =
  | { readonly part: 'whole'; readonly axis: number }
  | { readonly part: 'outer' | 'inner' | 'pairs'; readonly axis: number; readonly block: number };

/**
 * Physical order; row-major over these. Each axis occurs once as `whole`, or once as `outer` and once as `inner` or `pairs` of one block
 * size.
 */
export type Layout = readonly LayoutDim[];

/** The plain order of a tensor with `rank` axes. */
export const rowMajor = (rank: number): Layout => Array.from({ length: rank }, (_, axis) => ({ part: 'whole', axis }));

/** The extent of each physical dimension, padding included. */
export const physicalShape = (layout: Layout, shape: readonly number[]): readonly number[] =>
  layout.map((dim) => {
    const size = shape[dim.axis] ?? 0;
    return dim.part === 'whole' ? size : dim.part === 'outer' ? Math.ceil(size / dim.block) : dim.block;
  });

/** Elements a tensor of `shape` takes in `layout`, padding included. */
export const physicalLength = (layout: Layout, shape: readonly number[]): number =>
  physicalShape(layout, shape).reduce((a, b) => a * b, 1);

/** Where in a block of `block` elements element `i` of it lies when they are paired. */
export const pairedPlace = (i: number, block: number): number => ((2 * i) % block) + (2 * i >= block ? 1 : 0);

/** Element types a packed weight may have. */
export type WeightData = Float32Array | Int32Array | Uint16Array | Int8Array;

/** Writes row-major `source` of `shape` into `target` in `layout`; padding is zero. `target` must have `physicalLength` elements. */
export function packWeight(source: WeightData, shape: readonly number[], layout: Layout, target: WeightData): void {
  const physical = physicalShape(layout, shape);
  const length = physical.reduce((a, b) => a * b, 1);
  if (target.length !== length)
    throw new RangeError(`packed weight takes ${length} elements, target has ${target.length}`);
  const rank = shape.length;
  if (layout.length === rank && layout.every((d, i) => d.part === 'whole' && d.axis === i)) {
    target.set(source);
    return;
  }
  if (length === 0) return;
  const strides = new Array<number>(rank).fill(1);
  for (let a = rank - 2; a >= 0; a--) strides[a] = (strides[a + 1] ?? 1) * (shape[a + 1] ?? 1);
  // One step along a physical dimension advances its axis by `unit`; runs of the innermost one share all else.
  const unit = layout.map((dim) => (dim.part === 'outer' ? dim.block : 1));
  const last = layout.length - 1;
  const run = physical[last] as number;
  const lastAxis = (layout[last] as LayoutDim).axis;
  const lastUnit = unit[last] as number;
  const step = lastUnit * (strides[lastAxis] as number);
  const isPaired = layout[last]?.part === 'pairs';
  const place = new Array<number>(layout.length).fill(0);
  const logical = new Array<number>(rank).fill(0);
  for (let p = 0; p < length; p += run) {
    let offset = 0;
    let count = run;
    for (let a = 0; a < rank; a++) {
      const left = (shape[a] as number) - (logical[a] as number);
      if (a === lastAxis) count = Math.min(count, Math.max(0, Math.ceil(left / lastUnit)));
      else if (left <= 0) count = 0;
      offset += (logical[a] as number) * (strides[a] as number);
    }
    if (count < run) target.fill(0, p, p + run);
    for (let i = 0; i < count; i++)
      target[p + (isPaired ? pairedPlace(i, run) : i)] = source[offset + i * step] as number;
    for (let d = last - 1; d >= 0; d--) {
      const axis = (layout[d] as LayoutDim).axis;
      const size = physical[d] as number;
      const next = (place[d] as number) + 1;
      const carry = next === size;
      place[d] = carry ? 0 : next;
      logical[axis] = (logical[axis] as number) + (carry ? 1 - size : 1) * (unit[d] as number);
      if (!carry) break;
    }
  }
}
