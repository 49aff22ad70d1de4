/**
 * Memory layouts of tensors. Row-major unless a kernel wants its weights packed; packing happens once, at load, by
 * `packWeight`, from this description alone.
 */

/**
 * One dimension of the physical order, outermost first. `whole`: the axis itself. `outer` and `inner`: the axis cut into
 * blocks; the index of the block, and the place within it. The last block is padded with zeros.
 */
export type LayoutDim =
  | { readonly part: 'whole'; readonly axis: number }
  | { readonly part: 'outer' | 'inner'; readonly axis: number; readonly block: number };

/** Physical order; row-major over these. Each axis occurs once as `whole`, or once as `outer` and once as `inner` of one block size. */
export type Layout = readonly LayoutDim[];

/** The plain order of a tensor with `rank` axes. */
export const rowMajor = (rank: number): Layout => Array.from({ length: rank }, (_, axis) => ({ part: 'whole', axis }));

/** The extent of each physical dimension, padding included. */
export const physicalShape = (layout: Layout, shape: readonly number[]): readonly number[] =>
  layout.map((dim) => {
    const size = shape[dim.axis] ?? 0;
    return dim.part === 'whole' ? size : dim.part === 'inner' ? dim.block : Math.ceil(size / dim.block);
  });

/** Elements a tensor of `shape` takes in `layout`, padding included. */
export const physicalLength = (layout: Layout, shape: readonly number[]): number =>
  physicalShape(layout, shape).reduce((a, b) => a * b, 1);

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
  const strides = new Array<number>(rank).fill(1);
  for (let a = rank - 2; a >= 0; a--) strides[a] = (strides[a + 1] ?? 1) * (shape[a + 1] ?? 1);
  const place = new Array<number>(layout.length).fill(0);
  const logical = new Array<number>(rank).fill(0);
  for (let p = 0; p < length; p++) {
    logical.fill(0);
    for (let d = 0; d < layout.length; d++) {
      const dim = layout[d] as LayoutDim;
      const at = place[d] as number;
      logical[dim.axis] = (logical[dim.axis] as number) + (dim.part === 'outer' ? at * dim.block : at);
    }
    let offset = 0;
    let inside = true;
    for (let a = 0; a < rank; a++) {
      inside &&= (logical[a] as number) < (shape[a] as number);
      offset += (logical[a] as number) * (strides[a] as number);
    }
    target[p] = inside ? (source[offset] as number) : 0;
    for (let d = layout.length - 1; d >= 0; d--) {
      place[d] = (place[d] as number) + 1;
      if ((place[d] as number) < (physical[d] as number)) break;
      place[d] = 0;
    }
  }
}
