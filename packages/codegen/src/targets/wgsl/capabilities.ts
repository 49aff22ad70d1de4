/** What WebGPU devices differ in, as far as the generated code depends on it, and what every one of them has. */
import type { Capabilities } from '../../target.ts';

/**
 * `subgroups`: the language feature, for folds over lanes; hardware subgroups may be of any size, `subgroup-size` is only a
 * hint for schedules. `f16`: half precision in memory (arithmetic stays f32). The rest are limits of the device:
 * invocations and bytes of memory of a workgroup, storage buffers of a kernel. The defaults are what WebGPU promises
 * everywhere.
 */
export const wgslDefaults = {
  subgroups: false,
  'subgroup-size': 32,
  f16: false,
  'workgroup-threads': 256,
  'workgroup-bytes': 16384,
  'storage-buffers': 8,
} as const satisfies Capabilities;

/** The limits of a device that was asked for nothing. */
export const PROMISED = { 'workgroup-threads': 256, 'workgroup-bytes': 16384, 'storage-buffers': 8 } as const;

/** Bytes of private arrays a thread may keep; more goes to scratch memory, since spilled registers are slower still. */
export const PRIVATE_BYTES = 1024;

/** A capability that is a number. */
export const limitOf = (capabilities: Capabilities, name: keyof typeof PROMISED): number => {
  const value = capabilities[name];
  return typeof value === 'number' ? value : wgslDefaults[name];
};
