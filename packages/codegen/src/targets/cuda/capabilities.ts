/** What NVIDIA GPUs differ in, as far as the generated code depends on it. */
import type { MmaPrecision } from '../../kernel-ir/types.ts';
import type { Capabilities } from '../../target.ts';

/**
 * `sm`: least compute capability, times ten; 80 (Ampere) is the floor, for its min and max that pass NaN on and its tensor
 * cores. The others allow dense products to be formed by tensor cores, from operands rounded to fewer bits; sums stay f32:
 * `tensor-cores` to tf32, 10 bits of fraction; `tensor-bf16` to bf16, 7 bits, at twice the speed; `tensor-f16` to f16, 10 bits
 * and the same speed, but operands beyond 65504 become infinite.
 */
export const cudaDefaults = {
  sm: 80,
  'tensor-cores': false,
  'tensor-bf16': false,
  'tensor-f16': false,
} as const satisfies Capabilities;

/** What operands of dense products are rounded to: of what is allowed the fastest, and of two as fast the one that can't overflow. */
export function productsOf(capabilities: Capabilities): MmaPrecision {
  if (capabilities['tensor-bf16'] === true) return 'bf16';
  if (capabilities['tensor-f16'] === true) return 'f16';
  return capabilities['tensor-cores'] === true ? 'tf32' : 'f32';
}

/** Lanes of a warp. */
export const WARP = 32;

/** Warps of a workgroup, unless a schedule says otherwise. */
export const WARPS = 4;

/** Elements a lane takes at once where memory lies in runs of them: an access of 16 bytes. */
export const RUN = 4;

/** Bytes of private arrays a thread keeps; more goes to scratch memory. Beyond a few registers they live in local memory. */
export const PRIVATE_BYTES = 4096;

/** Bytes of static shared memory a block can have. */
export const SHARED_BYTES = 48 * 1024;

/** Threads a block can have. */
export const THREADS = 1024;
