/**
 * Kernels that were compiled before: files `CHECKSUM.ptx`, named by the SHA-256 of the source they were made of, so that one is
 * used only where this machine's compiler front end came to the very same source.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Artefact, sha256Hex } from '@espalier/artefact';
import type { Device } from '@espalier/runtime';

/** How loads went. */
export interface KernelTally {
  /** Artefacts whose PTX came along. */
  shipped: number;
  /** Artefacts that this machine's toolkit had to compile. */
  compiled: number;
}

/** The artefact with its PTX, or as it is where none came along. */
export async function withShippedPtx(artefact: Artefact, folder: string): Promise<Artefact> {
  const ptx = await readFile(join(folder, `${artefact.manifest.checksum}.ptx`)).catch(() => undefined);
  if (!ptx) return artefact;
  const binary = new Uint8Array(ptx);
  return { ...artefact, manifest: { ...artefact.manifest, checksum: await sha256Hex(binary) }, binary };
}

/** The same device; artefacts get the PTX of `folder` before they are loaded. */
export function withKernels(device: Device, folder: string, tally: KernelTally): Device {
  return {
    info: device.info,
    alignment: device.alignment,
    createBuffer: (byteLength, label) => device.createBuffer(byteLength, label),
    load: async (artefact) => {
      const shipped = await withShippedPtx(artefact, folder);
      tally[shipped === artefact ? 'compiled' : 'shipped']++;
      return device.load(shipped);
    },
    prepare: (launches) => device.prepare(launches),
    [Symbol.dispose]: () => device[Symbol.dispose](),
  };
}
