/** The WebAssembly target: 128-bit SIMD, fused multiply-add where the engine has relaxed SIMD. */
import { groupedWalk } from '../../lower/grouped-walk.ts';
import { columnsOf, type RowsUnit, sharesAlongRows, walks } from '../../lower/partition.ts';
import { nodesAfter } from '../../lower/reachable.ts';
import { hoist } from '../../passes/hoist.ts';
import { limitDepth } from '../../passes/limit-depth.ts';
import { share } from '../../passes/share.ts';
import { contractSchedule, defaultSchedule } from '../../schedule/auto.ts';
import type { Form, Target, Variant } from '../../target.ts';
import { assemble } from './assemble.ts';
import { FEW_ROWS, FEW_WIDENING_ROWS, machineOf, type WasmMachine, wasmDefaults } from './capabilities.ts';
import { addressBytes, scratchSize } from './legalise/addresses.ts';
import { checkBlocks } from './legalise/blocks.ts';
import { loadConstants } from './legalise/constants.ts';
import { widenHalves } from './legalise/halves.ts';
import { legaliseOperations } from './legalise/operations.ts';
import { pairFolds } from './legalise/pair-folds.ts';
import { pairRounding } from './legalise/pair-rounding.ts';
import { pairStores } from './legalise/pair-stores.ts';
import { printModule } from './print.ts';

export { WasmRefusal } from './errors.ts';

/** WebAssembly. Legalise throws WasmRefusal. */
export const wasm: Target = {
  name: 'wasm',
  extension: 'wat',
  defaults: wasmDefaults,
  variants: (unit, capabilities, layer) => {
    const machine = machineOf(capabilities);
    if (unit.kind === 'rows' && sharesAlongRows(unit))
      return [{ name: '', from: 0, form: { form: 'rows', together: ROWS_TOGETHER, accumulators: 1 } }];
    if (unit.kind === 'rows' && walks(unit)) return walkVariants(unit, machine);
    if (unit.kind !== 'contract') return [{ name: '', from: 0, form: { form: 'elements' } }];
    const columns = columnsOf(unit) ?? machine.tile.columns;
    const block = { rows: BLOCK_ROWS, columns: blockColumns(columns, machine), depth: STRETCH };
    const widens = unit.contraction.weights.some((w) =>
      layer.tensors.some((t) => t.name === w.tensor && t.storage === 'f16'),
    );
    const many: Form = { form: 'blocks', ...block, registers: widens ? machine.wideningTile : machine.tile };
    if (columns < machine.fewTile.columns) return [{ name: '', from: 0, form: many }];
    const touch = { columns: machine.panel, depth: LINE / machine.panel };
    const below = widens ? FEW_WIDENING_ROWS : FEW_ROWS;
    return [
      { name: 'few', from: 0, below, form: { form: 'blocks', ...block, registers: machine.fewTile } },
      { name: '', from: below, form: { ...many, touch } },
    ];
  },
  schedule: (unit, kernel, capabilities, form) => {
    const machine = machineOf(capabilities);
    if (unit.kind === 'generic') return [];
    if (unit.kind === 'contract' && form.form === 'blocks' && form.registers !== undefined)
      if ((columnsOf(unit) ?? 0) >= form.registers.columns)
        return contractSchedule(kernel, unit.contraction.weights, form.registers, machine);
    if (form.form === 'rows') return defaultSchedule(kernel, machine, form);
    if (form.form === 'grouped') return defaultSchedule(kernel, machine, { ...form, deferred: true, pairsLeft: true });
    return defaultSchedule(kernel, machine);
  },
  legalise: (capabilities) => [
    ...(capabilities['simd-256'] === true
      ? [
          { name: 'wasm-pair-folds', run: pairFolds },
          { name: 'wasm-pair-rounding', run: pairRounding },
        ]
      : []),
    { name: 'wasm-halves', run: (kernel) => widenHalves(kernel, halvesTogether(machineOf(capabilities))) },
    { name: 'wasm-constants', run: loadConstants },
    { name: 'wasm-addresses', run: addressBytes },
    { name: 'wasm-operations', run: legaliseOperations },
    { name: 'wasm-hoist', run: hoist },
    { name: 'wasm-share', run: share },
    ...(capabilities['simd-256'] === true ? [{ name: 'wasm-pair-stores', run: pairStores }] : []),
    { name: 'wasm-depth', run: (kernel) => limitDepth(checkBlocks(kernel)) },
  ],
  print: printModule,
  scratch: scratchSize,
  assemble,
  requires: (capabilities) => (capabilities['relaxed-simd'] === true ? ['simd', 'relaxed-simd'] : ['simd']),
  numerics: (capabilities) => ({ fma: capabilities['relaxed-simd'] === true ? 'relaxed' : 'none' }),
};

/** Halves that lie in pairs together: two vectors, of as many lanes as the machine computes at once. */
const halvesTogether = ({ lanes, pairs }: WasmMachine): number => 2 * lanes * (pairs ? 2 : 1);

/** One walk; more of them in blocks or, where they can't be, side by side; hundreds and thousands sorted on the way. */
function walkVariants(unit: RowsUnit, { walksTogether: together }: WasmMachine): readonly Variant[] {
  const few: Variant = { name: 'few', from: 0, below: together, form: { form: 'rows', together: 1, deferred: true } };
  const walk = groupedWalk(unit, 0);
  if (walk === null) return [few, { name: '', from: together, form: { form: 'rows', together, deferred: true } }];
  /** The first level at which walks can stand at so many nodes. */
  const levelOf = (nodes: number): number => {
    let level = 0;
    while (level < walk.levels && (nodesAfter(walk.chain.descent, level)?.count ?? nodes) < nodes) level++;
    return level;
  };
  const inGroups = (chunk: number, block: number): Form => {
    const first = chunk === block ? 0 : levelOf(chunk / block);
    return { form: 'grouped', chunk, first, block, together, alone: levelOf(chunk / ROWS_AT_A_NODE) };
  };
  const small = { from: together, form: inGroups(SMALL_BLOCK, SMALL_BLOCK) };
  const isSorted = groupedWalk(unit, levelOf(MOST_CHUNK / BLOCK)) !== null && walk.levels >= DEEP;
  if (!isSorted) return [few, { name: '', ...small }];
  return [
    few,
    { name: 'some', ...small, below: SORTED_WALKS },
    { name: '', from: SORTED_WALKS, below: MANY_WALKS, form: inGroups(CHUNK, SMALL_BLOCK) },
    { name: 'many', from: MANY_WALKS, below: MOST_WALKS, form: inGroups(MANY_CHUNK, BLOCK) },
    { name: 'most', from: MOST_WALKS, form: inGroups(MOST_CHUNK, BLOCK) },
  ];
}

/** Levels of a tree whose weights are beyond the nearer caches: 1,023 nodes, 6 MB of them where they are 768 wide. */
const DEEP = 10;

/** Rows walked level by level: their inputs, 64 or 128 of 3 KB, stay in the second cache. */
const [SMALL_BLOCK, BLOCK] = [64, 128];

/** Rows that should stand at a node for it to be worth finding them: where there are fewer, each walks on alone. */
const ROWS_AT_A_NODE = 4;

/** Rows from which sorting pays, and how many are sorted at once: two grid steps of 1,024 rows leave work for two threads. */
const [SORTED_WALKS, CHUNK] = [384, 512];

/** The same for thousands of rows: the more are sorted, the more of them share what is read. */
const [MANY_WALKS, MANY_CHUNK] = [2048, 4096];
const [MOST_WALKS, MOST_CHUNK] = [16384, 8192];

/**
 * Rows of a grid step: their stretches of x stay in the nearer caches while the panels of weights pass. Whole tiles of 6; from 24 to 130
 * all sizes are within 2 % of one another.
 */
const BLOCK_ROWS = 60;

/** f32 numbers in a line of a cache. */
const LINE = 16;

/** Rows of a grid step that read the same, as queries of an attention do: four rows by two results fill the registers. */
const ROWS_TOGETHER = 4;

/** Longest stretch of a sum: a panel's part of it fits the nearest cache. */
const STRETCH = 256;

/** Columns of a grid step: a whole number of panels that divides the width, so that no block has a tail; else as many as usual. */
function blockColumns(columns: number, { panel }: WasmMachine): number {
  for (let block = BLOCK_COLUMNS; block >= panel; block -= panel) if (columns % block === 0) return block;
  return Math.min(columns, BLOCK_COLUMNS);
}

/** Columns of a grid step: their weights, 768 deep, stay in the second cache while the rows pass. */
const BLOCK_COLUMNS = 64;
