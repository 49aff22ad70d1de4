/** Compiles every kernel that a certification runs to PTX, several at a time, and remembers them from one bundle to the next. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Artefact } from '@espalier/artefact';
import { withPtx } from '@espalier/runtime-cuda';
import { benchArtefacts } from '../stages/bench.ts';
import { conformanceArtefacts } from '../stages/conformance.ts';
import { modelArtefacts } from '../stages/models.ts';

/** Which kernels, and where they go. */
export interface KernelJob {
  /** The bundle: its models and golden data are in place. */
  readonly root: string;
  /** PTX from earlier times, by checksum of the source. */
  readonly memory: string;
  /** At most so many, for tests of the tool itself. */
  readonly limit?: number;
  readonly print: (line: string) => void;
}

/** Writes `kernels/CHECKSUM.{cu,ptx}`; resolves to their number. Rejects with nvcc's complaint. */
export async function writeKernels({ root, memory, limit, print }: KernelJob): Promise<number> {
  const artefacts = new Map<string, Artefact>();
  const add = (artefact: Artefact): void => void artefacts.set(artefact.manifest.checksum, artefact);
  for await (const artefact of benchArtefacts(root)) add(artefact);
  if (limit === undefined) {
    for await (const artefact of conformanceArtefacts()) add(artefact);
    for (const artefact of await modelArtefacts(root)) add(artefact);
  }
  const todo = [...artefacts.values()].slice(0, limit);
  print(`${todo.length} artefacts`);
  const folder = join(root, 'kernels');
  await mkdir(folder, { recursive: true });
  await mkdir(memory, { recursive: true });
  let done = 0;
  const next = todo.values();
  const work = async (): Promise<void> => {
    for (const artefact of next) {
      const { checksum } = artefact.manifest;
      await writeFile(join(folder, `${checksum}.cu`), artefact.source);
      await writeFile(join(folder, `${checksum}.ptx`), await ptxOf(artefact, memory));
      if (++done % 50 === 0) print(`${done} compiled`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return todo.length;
}

async function ptxOf(artefact: Artefact, memory: string): Promise<Uint8Array> {
  const path = join(memory, `${artefact.manifest.checksum}.ptx`);
  const known = await readFile(path).catch(() => undefined);
  if (known) return known;
  const { binary } = await withPtx(artefact);
  if (!binary) throw new Error(`no PTX of ${artefact.manifest.name}`);
  await writeFile(`${path}.part`, binary);
  await rename(`${path}.part`, path);
  return binary;
}
