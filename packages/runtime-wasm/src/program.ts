/** Loading an artefact on a WASM device: every check that can be made before anything runs. */
import { type Artefact, ArtefactError, type Manifest, verifyChecksum } from '@espalier/artefact';
import { checkCompiledFor, type DeviceInfo, type Program } from '@espalier/runtime';
import { engine, type WasmModule } from './engine.ts';
import { withSharedMemory } from './shared-import.ts';

/** A loaded artefact. Its kernels have the device's indices from `firstKernel` on, in the order of the manifest's launches. */
export class WasmProgram implements Program {
  readonly manifest: Manifest;
  readonly firstKernel: number;
  readonly #owner: object;
  readonly #free: () => void;
  disposed = false;

  /** `owner` stands for the device; `free` lets go of the kernels. */
  constructor(owner: object, manifest: Manifest, firstKernel: number, free: () => void) {
    this.#owner = owner;
    this.manifest = manifest;
    this.firstKernel = firstKernel;
    this.#free = free;
  }

  /** Whether it was loaded on the device that `owner` stands for. */
  belongsTo(owner: object): boolean {
    return this.#owner === owner;
  }

  [Symbol.dispose](): void {
    if (this.disposed) return;
    this.disposed = true;
    this.#free();
  }
}

const remedies: Readonly<Record<string, string>> = {
  'relaxed-simd':
    'open the device without relaxedSimd: false on an engine that has relaxed SIMD, or compile the layer without it',
  simd: 'use an engine with 128-bit SIMD (every browser since 2023, Node from 16)',
};

/** Throws ArtefactError A002, A008, A009 or A013 unless a device of `info` can load the artefact. */
export function checkLoadable(artefact: Artefact, info: DeviceInfo): Uint8Array {
  const { manifest, binary } = artefact;
  checkCompiledFor(info.target, manifest);
  const lacking = manifest.requires.find((name) => !info.capabilities[name]);
  if (lacking !== undefined)
    throw new ArtefactError(
      'A009',
      `${manifest.name} needs ${lacking}, which ${info.name} lacks; ${remedies[lacking] ?? 'compile the layer without it'}`,
    );
  if (!binary)
    throw new ArtefactError('A013', `${manifest.name} has no binary; save and load its .wasm file with its manifest`);
  return binary;
}

/**
 * An empty custom section named "wide". Engines keep one compiled module for equal bytes, whatever flags it was compiled under;
 * this makes the bytes of a module that shall be compiled in 256-bit mode unequal.
 */
const WIDE_MARK = [0x00, 0x05, 0x04, 0x77, 0x69, 0x64, 0x65];

/** Compiles a loadable artefact's binary. Rejects with ArtefactError A007 (checksum), A010 (the engine's message) or A011. */
export async function compileArtefact(
  artefact: Artefact,
  binary: Uint8Array,
  { shared, wide }: { readonly shared: boolean; readonly wide: boolean },
): Promise<WasmModule> {
  await verifyChecksum(artefact);
  const bytes = shared ? withSharedMemory(binary) : binary;
  try {
    return await engine().compile(wide ? Uint8Array.from([...bytes, ...WIDE_MARK]) : bytes);
  } catch (cause) {
    throw refused(artefact, cause);
  }
}

/** The error for code that the engine will not take. */
export const refused = (artefact: Artefact, cause: unknown): ArtefactError =>
  new ArtefactError(
    'A010',
    `the engine refuses the code of ${artefact.manifest.name}: ${cause instanceof Error ? cause.message : String(cause)}; ` +
      'compile the layer again with a compiler of this release',
    { cause },
  );
