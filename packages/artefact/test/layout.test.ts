/** Packing weights: every element where the layout says, zeros in the padding, for random layouts. */
import { describe, expect, it } from 'vitest';
import { type Layout, packWeight, pairedPlace, physicalLength, physicalShape, rowMajor } from '../src/index.ts';

/** Where element `index` of the tensor lies in `layout`, by the definition of a layout. */
function placeOf(index: readonly number[], layout: Layout, shape: readonly number[]): number {
  const physical = physicalShape(layout, shape);
  return layout.reduce((place, dim, d) => {
    const i = index[dim.axis] ?? 0;
    const within = dim.part === 'whole' ? i : i % dim.block;
    const at =
      dim.part === 'outer'
        ? Math.floor(i / dim.block)
        : dim.part === 'pairs'
          ? 2 * (within % (dim.block / 2)) + Math.floor(within / (dim.block / 2))
          : within;
    return place * (physical[d] ?? 1) + at;
  }, 0);
}

const indices = (shape: readonly number[]): readonly (readonly number[])[] =>
  shape.reduce<readonly (readonly number[])[]>(
    (all, size) => all.flatMap((index) => Array.from({ length: size }, (_, i) => [...index, i])),
    [[]],
  );

const whole = (axis: number) => ({ part: 'whole', axis }) as const;
const outer = (axis: number, block: number) => ({ part: 'outer', axis, block }) as const;
const inner = (axis: number, block: number) => ({ part: 'inner', axis, block }) as const;
const pairs = (axis: number, block: number) => ({ part: 'pairs', axis, block }) as const;

describe('packWeight', () => {
  it.each<[string, readonly number[], Layout]>([
    ['row-major', [3, 4], rowMajor(2)],
    ['transposed', [3, 5], [whole(1), whole(0)]],
    ['panels of rows, with a tail', [7, 5], [outer(0, 4), whole(1), inner(0, 4)]],
    ['both axes blocked', [7, 10], [outer(1, 4), outer(0, 3), inner(0, 3), inner(1, 4)]],
    ['blocks larger than the axis', [2, 3], [outer(0, 8), whole(1), inner(0, 8)]],
    ['three axes', [3, 4, 5], [whole(2), outer(0, 2), whole(1), inner(0, 2)]],
    ['one axis', [9], [outer(0, 4), inner(0, 4)]],
    ['rows in pairs', [3, 32], [whole(0), outer(1, 16), pairs(1, 16)]],
    ['panels in pairs, with a tail', [13, 5], [outer(0, 8), whole(1), pairs(0, 8)]],
    ['a scalar', [], []],
    ['nothing', [0, 4], [outer(1, 4), whole(0), inner(1, 4)]],
  ])('%s', (_, shape, layout) => {
    const all = indices(shape);
    const source = Float32Array.from(all, (_, i) => i + 1);
    const expected = new Float32Array(physicalLength(layout, shape));
    all.forEach((index, i) => {
      expected[placeOf(index, layout, shape)] = i + 1;
    });
    const target = new Float32Array(expected.length).fill(Number.NaN);
    packWeight(source, shape, layout, target);
    expect(target).toEqual(expected);
  });

  it('puts the second half of a block between the first', () => {
    const target = new Int8Array(8);
    packWeight(Int8Array.from([0, 1, 2, 3, 4, 5, 6, 7]), [8], [outer(0, 8), pairs(0, 8)], target);
    expect([...target]).toEqual([0, 4, 1, 5, 2, 6, 3, 7]);
    expect(Array.from({ length: 8 }, (_, i) => pairedPlace(i, 8))).toEqual([0, 2, 4, 6, 1, 3, 5, 7]);
  });

  it('refuses a target of another length', () => {
    expect(() => packWeight(new Float32Array(4), [4], rowMajor(1), new Float32Array(5))).toThrow(RangeError);
  });
});
