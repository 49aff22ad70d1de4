/**
 * Compiled kernels kept on disk, because compiling takes seconds and loading machine code milliseconds. An entry begins with
 * the SHA-256 of what follows; one that was cut short or changed counts as absent. Losing the folder costs time only.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { sha256Hex } from '@espalier/artefact';
import { type CompileJob, type CudaCompiler, type KernelImage, sharedFlags } from './compiler.ts';

const HASH_CHARACTERS = 64;

/** Where compiled kernels are kept unless told: the user's folder for caches. */
export const defaultCacheFolder = (): string => {
  const { XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  return join(XDG_CACHE_HOME || LOCALAPPDATA || join(homedir(), '.cache'), 'espalier-cuda');
};

const keyOf = (compiler: CudaCompiler, job: CompileJob): Promise<string> =>
  sha256Hex(JSON.stringify([compiler.name, job.sm, job.driver, sharedFlags, job.source]));

async function recall(path: string): Promise<Uint8Array | undefined> {
  const entry = await readFile(path).catch(() => undefined);
  if (!entry) return undefined;
  const bytes = new Uint8Array(entry.subarray(HASH_CHARACTERS));
  const hash = new TextDecoder().decode(entry.subarray(0, HASH_CHARACTERS));
  return bytes.length > 0 && (await sha256Hex(bytes)) === hash ? bytes : undefined;
}

let written = 0;

async function keep(folder: string, path: string, bytes: Uint8Array): Promise<void> {
  const part = `${path}.${process.pid}.${written++}.part`;
  try {
    await mkdir(folder, { recursive: true });
    const hash = new TextEncoder().encode(await sha256Hex(bytes));
    const entry = new Uint8Array(hash.length + bytes.length);
    entry.set(hash);
    entry.set(bytes, hash.length);
    await writeFile(part, entry);
    // Renaming is one step, so whoever reads meanwhile sees all of the entry or none.
    await rename(part, path);
  } catch {
    // A folder that cannot be written to costs time at the next start, not the result.
    await rm(part, { force: true }).catch(() => undefined);
  }
}

/** Code, and whether it came from the cache. */
export interface FoundImage extends KernelImage {
  readonly remembered: boolean;
}

/** A compiler that looks in its memory first. */
export interface RememberingCompiler {
  compile(job: CompileJob): Promise<FoundImage>;
  /** Deletes the entry of a job whose code turned out to be of no use. */
  forget(job: CompileJob): Promise<void>;
}

/** The same compiler with a memory in `folder`. */
export function remembering(compiler: CudaCompiler, folder: string): RememberingCompiler {
  const places = async (job: CompileJob): Promise<{ readonly path: string; readonly kind: KernelImage['kind'] }[]> => {
    const key = await keyOf(compiler, job);
    return (['cubin', 'ptx'] as const).map((kind) => ({ path: join(folder, `${key}.${kind}`), kind }));
  };
  return {
    compile: async (job) => {
      const known = await places(job);
      for (const { path, kind } of known) {
        const bytes = await recall(path);
        if (bytes) return { bytes, kind, origin: `${compiler.name}, from the cache`, remembered: true };
      }
      const image = await compiler.compile(job);
      const place = known.find(({ kind }) => kind === image.kind);
      if (place) await keep(folder, place.path, image.bytes);
      return { ...image, remembered: false };
    },
    forget: async (job) => {
      for (const { path } of await places(job)) await rm(path, { force: true }).catch(() => undefined);
    },
  };
}
