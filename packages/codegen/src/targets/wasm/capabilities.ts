/** What WebAssembly engines differ in, as far as the generated code depends on it. */
import type { Capabilities } from '../../target.ts';

/** 128-bit vectors are assumed (every engine that matters has them); relaxed SIMD (fused multiply-add) is not in all. */
export const wasmDefaults = { 'relaxed-simd': true } as const satisfies Capabilities;

/** f32 values in a v128. */
export const LANES = 4;

/** Accumulators of a register tile: 16 vector registers less operands. */
export const ACCUMULATORS = 8;

/** Rows and columns of the contraction's register tile: 12 accumulators, 2 weight vectors, 1 input. */
export const TILE = { rows: 6, columns: 8 } as const;
