/** What NVIDIA GPUs differ in, as far as the generated code depends on it. */
import type { Capabilities } from '../../target.ts';

/**
 * `sm`: least compute capability, times ten; 80 (Ampere) is the floor, for its min and max that pass NaN on and its tensor
 * cores. `tensor-cores`: dense products may use them, whose operands are rounded to fewer bits.
 */
export const cudaDefaults = { sm: 80, 'tensor-cores': false } as const satisfies Capabilities;

/** Lanes of a warp. */
export const WARP = 32;

/** Warps of a workgroup, unless a schedule says otherwise. */
export const WARPS = 4;

/** Bytes of private arrays a thread keeps; more goes to scratch memory. Beyond a few registers they live in local memory. */
export const PRIVATE_BYTES = 4096;

/** Bytes of static shared memory a block can have. */
export const SHARED_BYTES = 48 * 1024;

/** Threads a block can have. */
export const THREADS = 1024;
