/** The register tiles of WebAssembly's contractions, by number of rows and by what the weights are stored as. What they compute is for conformance. */
import type { StorageType } from '@espalier/ir';
import { standardLayer } from '@espalier/ir';
import { expect, it } from 'vitest';
import { wasm } from '../src/index.ts';
import { partition } from '../src/lower/partition.ts';

/** "from: rows x columns" of each variant of a product with 64 columns. */
function tiles(storage: StorageType, wide: boolean): readonly string[] {
  const layer = standardLayer('linear', { dims: { D: 96, O: 64 }, storage: { w: storage } });
  const [unit] = partition(layer);
  if (unit === undefined) throw new Error('no unit');
  return wasm.variants(unit, { ...wasm.defaults, 'simd-256': wide }, layer).map(({ from, below, form }, i, all) => {
    // They cover all numbers of rows, one after another.
    expect(below).toBe(all[i + 1]?.from);
    const registers = form.form === 'blocks' ? form.registers : undefined;
    return `${from}: ${registers?.rows}x${registers?.columns}`;
  });
}

it.each([
  ['f32', false, ['0: 1x32', '12: 6x8']],
  ['f32', true, ['0: 2x32', '12: 6x16']],
  // Widening takes registers from the tile, and is done once for its rows: tiles of more than one row begin early.
  ['f16', false, ['0: 1x32', '2: 4x8']],
  ['f16', true, ['0: 2x32', '2: 4x16']],
] as const)('of weights stored as %s, in 256 bits: %s', (storage, wide, expected) => {
  expect(tiles(storage, wide)).toEqual(expected);
});
