/** The WebAssembly target: 128-bit SIMD, fused multiply-add where the engine has relaxed SIMD. */
import { columnsOf } from '../../lower/partition.ts';
import { hoist } from '../../passes/hoist.ts';
import { share } from '../../passes/share.ts';
import { contractSchedule, defaultSchedule } from '../../schedule/auto.ts';
import type { Target } from '../../target.ts';
import { assemble } from './assemble.ts';
import { ACCUMULATORS, LANES, TILE, wasmDefaults } from './capabilities.ts';
import { addressBytes, legaliseOperations, scratchSize } from './legalise.ts';
import { printModule } from './print.ts';

const machine = { lanes: LANES, accumulators: ACCUMULATORS };

export const wasm: Target = {
  name: 'wasm',
  extension: 'wat',
  defaults: wasmDefaults,
  variants: (unit) => {
    const columns = (unit.kind === 'contract' ? columnsOf(unit) : null) ?? TILE.columns;
    return [{ name: '', from: 0, form: { form: 'blocks', rows: 48, columns: blockColumns(columns), depth: 128 } }];
  },
  schedule: (unit, kernel) => {
    if (unit.kind === 'generic') return [];
    if (unit.kind === 'contract' && (columnsOf(unit) ?? 0) >= TILE.columns)
      return contractSchedule(kernel, unit.contraction.weights, TILE, machine);
    return defaultSchedule(kernel, machine);
  },
  legalise: () => [
    { name: 'wasm-operations', run: legaliseOperations },
    { name: 'wasm-addresses', run: addressBytes },
    { name: 'wasm-hoist', run: hoist },
    { name: 'wasm-share', run: share },
  ],
  print: printModule,
  scratch: scratchSize,
  assemble,
  requires: (capabilities) => (capabilities['relaxed-simd'] === true ? ['simd', 'relaxed-simd'] : ['simd']),
  numerics: (capabilities) => ({ fma: capabilities['relaxed-simd'] === true ? 'vector' : 'none' }),
};

/** Columns of a grid step: a whole number of panels that divides the width, so that no block has a tail; else all columns. */
function blockColumns(columns: number): number {
  for (let block = 64; block >= TILE.columns; block -= TILE.columns) if (columns % block === 0) return block;
  return columns;
}
