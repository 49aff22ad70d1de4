/** Where a device gets its code from: PTX that the artefact carries, or a compiler of this machine with a memory. */
import { type Artefact, ArtefactError } from '@espalier/artefact';
import { type FoundImage, remembering } from './cache.ts';
import type { CudaCompiler } from './compiler.ts';
import { findNvcc } from './nvcc.ts';
import { findNvrtc } from './nvrtc.ts';

/**
 * `auto`: the PTX that an artefact carries, else NVRTC, else nvcc. `ptx`: only what artefacts carry. `nvrtc`, `nvcc`: compile the
 * source with that one, also where there is PTX.
 */
export type CompilerChoice = 'auto' | 'nvrtc' | 'nvcc' | 'ptx';

export interface ImageOptions {
  readonly compiler: CompilerChoice;
  /** Compute capability of the device times ten. */
  readonly sm: number;
  /** CUDA version of the driver, "12.4". */
  readonly driver: string;
  /** Folder to keep compiled code in; `false` for none. */
  readonly cache: string | false;
  readonly nvcc: string | undefined;
  readonly nvrtc: string | undefined;
}

export interface ImageSource {
  /** The compiler in use, for people; undefined where none was needed so far. */
  readonly compiler: string | undefined;
  /** `afresh`: not from the cache. Rejects with ArtefactError A010 or A013. */
  imageOf(artefact: Artefact, options?: { readonly afresh?: boolean }): Promise<FoundImage>;
}

const ELF = 0x7f;

/** Looks for a compiler when the first artefact needs one. */
export function imageSource(options: ImageOptions): ImageSource {
  let compiler: Promise<CudaCompiler | { readonly reason: string }> | undefined;
  let name: string | undefined;
  return {
    get compiler() {
      return name;
    },
    imageOf: async (artefact, { afresh = false } = {}) => {
      const { manifest, source, binary } = artefact;
      if (binary && (options.compiler === 'auto' || options.compiler === 'ptx')) {
        const kind = binary[0] === ELF ? 'cubin' : 'ptx';
        return {
          bytes: binary,
          kind,
          origin: `the artefact's own ${kind === 'ptx' ? 'PTX' : 'machine code'}`,
          remembered: false,
        };
      }
      compiler ??= findCompiler(options);
      const found = await compiler;
      if ('reason' in found)
        throw new ArtefactError(
          'A013',
          `${manifest.name} has no PTX and ${found.reason}; install the CUDA toolkit, or add PTX where there is one (withPtx)`,
        );
      name = found.name;
      const job = { source, name: manifest.name, sm: options.sm, driver: options.driver };
      if (options.cache === false) return { ...(await found.compile(job)), remembered: false };
      const cached = remembering(found, options.cache);
      if (afresh) await cached.forget(job);
      return cached.compile(job);
    },
  };
}

async function findCompiler(options: ImageOptions): Promise<CudaCompiler | { readonly reason: string }> {
  const { compiler, nvcc, nvrtc } = options;
  if (compiler === 'ptx') return { reason: "the device was opened with compiler: 'ptx'" };
  if (compiler === 'nvcc') return findNvcc(nvcc);
  const library = findNvrtc(nvrtc);
  if (compiler === 'nvrtc' || !('reason' in library)) return library;
  const program = await findNvcc(nvcc);
  return 'reason' in program ? { reason: `${library.reason}, and ${program.reason}` } : program;
}
