/**
 * What turns CUDA C into something a driver loads. Three do: NVRTC, nvcc, and whoever compiled the artefact's PTX beforehand.
 * All compile with the same flags, so that which one it was changes no value.
 */

import { isNewer } from './ptx-version.ts';

/** Code that the driver can load. */
export interface KernelImage {
  readonly bytes: Uint8Array;
  /** `cubin`: machine code of one architecture. `ptx`: text that the driver compiles as it loads it. */
  readonly kind: 'cubin' | 'ptx';
  /** What made it, for people: "nvcc 13.0, sm_90". */
  readonly origin: string;
}

export interface CompileJob {
  /** CUDA C. */
  readonly source: string;
  /** The layer's name, for messages. */
  readonly name: string;
  /** Compute capability of the device times ten. */
  readonly sm: number;
  /** CUDA version of the driver, "12.4". */
  readonly driver: string;
}

/** A compiler found on this machine. */
export interface CudaCompiler {
  /** With its version; part of the key that results are kept under. */
  readonly name: string;
  /** Rejects with ArtefactError A010 and the compiler's log. */
  compile(job: CompileJob): Promise<KernelImage>;
}

/**
 * Flags of both compilers. Products and sums are never contracted behind the layer's back, denormals stay, division and square
 * roots are correctly rounded: values are what the kernel says.
 */
export const sharedFlags: readonly string[] = [
  '--std=c++17',
  '--fmad=false',
  '--ftz=false',
  '--prec-div=true',
  '--prec-sqrt=true',
];

/** Compute capabilities, times ten, out of a compiler's list such as "compute_90 compute_90a sm_100f"; plain ones only. */
export const architectures = (text: string): readonly number[] => [
  ...new Set([...text.matchAll(/\b(?:sm|compute)_(\d+)\b/g)].map((match) => Number(match[1]))),
];

/**
 * What to compile for: the device's own machine code where the compiler knows it, else PTX for the newest architecture that is
 * no newer than the device; undefined when the device is older than all of them. Machine code is of use only where the driver
 * is no older than the compiler.
 */
export function architectureFor(
  { sm, driver }: Pick<CompileJob, 'sm' | 'driver'>,
  { version, known }: { readonly version: string; readonly known: readonly number[] },
): { readonly kind: KernelImage['kind']; readonly arch: string } | undefined {
  if (known.includes(sm) && !isNewer(version, driver)) return { kind: 'cubin', arch: `sm_${sm}` };
  const older = Math.max(...known.filter((arch) => arch <= sm));
  return Number.isFinite(older) ? { kind: 'ptx', arch: `compute_${older}` } : undefined;
}
