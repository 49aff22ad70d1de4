/** What WebAssembly engines differ in, as far as the generated code depends on it. */
import type { SimdMachine } from '../../schedule/auto.ts';
import type { Capabilities, Registers } from '../../target.ts';

/**
 * 128-bit vectors are assumed (every engine that matters has them); relaxed SIMD (fused multiply-add) is not in all. `simd-256`:
 * the engine fuses neighbouring 128-bit operations into 256-bit ones, as V8's revectoriser does; code made for it is right
 * anywhere, and slow where nothing is fused.
 */
export const wasmDefaults = { 'relaxed-simd': true, 'simd-256': false } as const satisfies Capabilities;

/** What schedules need to know of the engine. */
export interface WasmMachine extends SimdMachine {
  /** Columns of a packed panel of weights. */
  readonly panel: number;
  /** The contraction's register tile. */
  readonly tile: Registers;
  /** The same where weights are widened on their way, which takes registers, too. */
  readonly wideningTile: Registers;
  /** The same for few rows, when weights are wanted faster than they come: many columns, to have many loads on their way. */
  readonly fewTile: Registers;
  /** Walks through trees that wait for their nodes, or use one, together; the partial sums of each must fit the registers. */
  readonly walksTogether: number;
}

/**
 * Fewer rows than this are few. Weights come from memory about as fast as tiles for few rows use them; for more rows they are better all read
 * before tiles of more rows use them.
 */
export const FEW_ROWS = 12;

/** The same where weights are widened on their way: what was widened should serve as many rows as there are. */
export const FEW_WIDENING_ROWS = 2;

/** 16 registers of 128 bits: 12 accumulators, 2 vectors of weights, 1 input. */
const plain: WasmMachine = {
  lanes: 4,
  accumulators: 8,
  pairs: false,
  panel: 8,
  tile: { rows: 6, columns: 8 },
  wideningTile: { rows: 4, columns: 8 },
  // Two rows would take 16 accumulators, and spill.
  fewTile: { rows: 1, columns: 32 },
  walksTogether: 3,
};

/** The same registers with 256 bits each. */
const wide: WasmMachine = {
  ...plain,
  pairs: true,
  panel: 16,
  tile: { rows: 6, columns: 16 },
  wideningTile: { rows: 4, columns: 16 },
  fewTile: { rows: 2, columns: 32 },
};

export const machineOf = (capabilities: Capabilities): WasmMachine =>
  capabilities['simd-256'] === true ? wide : plain;
