/** The WebAssembly target: 128-bit SIMD, fused multiply-add where the engine has relaxed SIMD. */
import { columnsOf, sharesAlongRows, walks } from '../../lower/partition.ts';
import { hoist } from '../../passes/hoist.ts';
import { share } from '../../passes/share.ts';
import { contractSchedule, defaultSchedule } from '../../schedule/auto.ts';
import type { Form, Target } from '../../target.ts';
import { assemble } from './assemble.ts';
import { FEW_ROWS, machineOf, type WasmMachine, wasmDefaults } from './capabilities.ts';
import { addressBytes, scratchSize } from './legalise/addresses.ts';
import { legaliseOperations } from './legalise/operations.ts';
import { pairFolds } from './legalise/pair-folds.ts';
import { pairStores } from './legalise/pair-stores.ts';
import { printModule } from './print.ts';

export const wasm: Target = {
  name: 'wasm',
  extension: 'wat',
  defaults: wasmDefaults,
  variants: (unit, capabilities) => {
    const machine = machineOf(capabilities);
    if (unit.kind === 'rows' && sharesAlongRows(unit))
      return [{ name: '', from: 0, form: { form: 'rows', together: ROWS_TOGETHER, accumulators: 1 } }];
    if (unit.kind === 'rows' && walks(unit)) {
      const { walksTogether: together } = machine;
      return [
        { name: 'few', from: 0, below: together, form: { form: 'rows', together: 1, deferred: true } },
        { name: '', from: together, form: { form: 'rows', together, deferred: true } },
      ];
    }
    if (unit.kind !== 'contract') return [{ name: '', from: 0, form: { form: 'elements' } }];
    const columns = columnsOf(unit) ?? machine.tile.columns;
    const block = { rows: BLOCK_ROWS, columns: blockColumns(columns, machine), depth: STRETCH };
    const many: Form = { form: 'blocks', ...block, registers: machine.tile };
    if (columns % machine.fewTile.columns !== 0) return [{ name: '', from: 0, form: many }];
    return [
      { name: 'few', from: 0, below: FEW_ROWS, form: { form: 'blocks', ...block, registers: machine.fewTile } },
      { name: '', from: FEW_ROWS, form: many },
    ];
  },
  schedule: (unit, kernel, capabilities, form) => {
    const machine = machineOf(capabilities);
    if (unit.kind === 'generic') return [];
    if (unit.kind === 'contract' && form.form === 'blocks' && form.registers !== undefined)
      if ((columnsOf(unit) ?? 0) >= form.registers.columns)
        return contractSchedule(kernel, unit.contraction.weights, form.registers, machine);
    return form.form === 'rows' ? defaultSchedule(kernel, machine, form) : defaultSchedule(kernel, machine);
  },
  legalise: (capabilities) => [
    ...(capabilities['simd-256'] === true ? [{ name: 'wasm-pair-folds', run: pairFolds }] : []),
    { name: 'wasm-addresses', run: addressBytes },
    { name: 'wasm-operations', run: legaliseOperations },
    { name: 'wasm-hoist', run: hoist },
    { name: 'wasm-share', run: share },
    ...(capabilities['simd-256'] === true ? [{ name: 'wasm-pair-stores', run: pairStores }] : []),
  ],
  print: printModule,
  scratch: scratchSize,
  assemble,
  requires: (capabilities) => (capabilities['relaxed-simd'] === true ? ['simd', 'relaxed-simd'] : ['simd']),
  numerics: (capabilities) => ({ fma: capabilities['relaxed-simd'] === true ? 'vector' : 'none' }),
};

/** Rows of a grid step: their stretches of x stay in the nearer caches while the panels of weights pass. */
const BLOCK_ROWS = 48;

/** Rows of a grid step that read the same, as queries of an attention do: four rows by two results fill the registers. */
const ROWS_TOGETHER = 4;

/** Longest stretch of a sum: a panel's part of it fits the nearest cache. */
const STRETCH = 256;

/** Columns of a grid step: a whole number of panels that divides the width, so that no block has a tail; else all columns. */
function blockColumns(columns: number, { panel }: WasmMachine): number {
  for (let block = 64; block >= panel; block -= panel) if (columns % block === 0) return block;
  return columns;
}
