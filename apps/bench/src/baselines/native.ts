/** The two native ceilings that shares of a peak are taken of. All of them: `native/ceilings.ts`. */
import type { Absence } from '../contract.ts';
import { measureCeilings } from './native/ceilings.ts';

/** What one core does at most. */
export interface Ceilings {
  /** Multiply-adds of 256-bit vectors held in registers, GFLOP/s. */
  readonly gflops: number;
  /** Reading 128 MB in order, GB/s. */
  readonly gigabytes: number;
}

/** Measured in about a second. */
export function ceilings(): Ceilings | Absence {
  const found = measureCeilings(0.2);
  return 'reason' in found ? found : { gflops: found.fma256, gigabytes: found.readSequential };
}
