/** nvcc as a program: version, architectures, and compiling a source to PTX or machine code in a folder that is deleted again. */
import { execFile } from 'node:child_process';
import { access, constants, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ArtefactError } from '@espalier/artefact';
import { toolkitFolders } from '../driver/library.ts';
import { architectureFor, architectures, type CudaCompiler, type KernelImage, sharedFlags } from './compiler.ts';

/** Nothing that a layer compiles to takes nvcc longer than this unless it hangs. */
const TIMEOUT_MILLISECONDS = 180_000;

interface Finished {
  readonly ok: boolean;
  /** What it wrote, both streams. */
  readonly text: string;
}

/** Runs a program to its end, or to the time limit. */
const finish = (program: string, args: readonly string[], cwd?: string): Promise<Finished> =>
  new Promise<Finished>((resolve) => {
    execFile(
      program,
      [...args],
      {
        timeout: TIMEOUT_MILLISECONDS,
        killSignal: 'SIGKILL',
        maxBuffer: 1 << 26,
        ...(cwd === undefined ? {} : { cwd }),
      },
      (error, stdout, stderr) => {
        const ended =
          error === null ? '' : error.killed === true ? `\nended after ${TIMEOUT_MILLISECONDS / 1000} s` : '';
        const text = `${stdout}${stderr}${ended}`.trim();
        resolve({ ok: error === null, text: text === '' && error !== null ? error.message : text });
      },
    );
    // What cannot even be the name of a program is thrown at once.
  }).catch((error: unknown) => ({ ok: false, text: error instanceof Error ? error.message : String(error) }));

const isProgram = async (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

async function onPath(): Promise<string | undefined> {
  const name = process.platform === 'win32' ? 'nvcc.exe' : 'nvcc';
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of [...folders, ...toolkitFolders().map((folder) => join(folder, 'bin'))])
    if (await isProgram(join(folder, name))) return join(folder, name);
  return undefined;
}

/** A working nvcc. */
export interface Nvcc extends CudaCompiler {
  readonly path: string;
  /** "13.0". */
  readonly version: string;
  /** Compute capabilities, times ten, that it makes machine code for. */
  readonly known: readonly number[];
  /** As `compile`, but PTX for `sm`, which newer devices run too. */
  ptx(job: { readonly source: string; readonly name: string; readonly sm: number }): Promise<KernelImage>;
}

/** nvcc at `path`, or on the PATH, or in the toolkit's usual folder; or why there is none. */
export async function findNvcc(path?: string): Promise<Nvcc | { readonly reason: string }> {
  const program = path ?? (await onPath());
  if (program === undefined) return { reason: 'nvcc is not on the PATH' };
  const said = await finish(program, ['--version']);
  const version = /release (\d+\.\d+)/.exec(said.text)?.[1];
  if (!said.ok || version === undefined) return { reason: `${program} does not work: ${firstLines(said.text)}` };
  const listed = await finish(program, ['--list-gpu-code']);
  const known = architectures(listed.text);
  if (!listed.ok || known.length === 0)
    return { reason: `${program} lists no architectures (--list-gpu-code): ${firstLines(listed.text)}` };
  const name = `nvcc ${version}`;
  const run = (job: { readonly source: string; readonly name: string }, kind: KernelImage['kind'], arch: string) =>
    compileWith(program, name, job, kind, arch);
  return {
    path: program,
    version,
    known,
    name,
    compile: async (job) => {
      const found = architectureFor(job, { version, known });
      if (!found) throw tooOld(job.name, job.sm, name, known);
      return run(job, found.kind, found.arch);
    },
    ptx: (job) => run(job, 'ptx', `compute_${job.sm}`),
  };
}

/** The error for a device that a compiler no longer knows. */
export const tooOld = (layer: string, sm: number, compiler: string, known: readonly number[]): ArtefactError =>
  new ArtefactError(
    'A010',
    `${compiler} makes no code for this device's sm_${sm}, only from sm_${Math.min(...known)} on; ` +
      `compile ${layer} with an older toolkit, or use a newer GPU`,
  );

const firstLines = (text: string): string => text.split('\n').slice(0, 3).join(' ');

async function compileWith(
  program: string,
  compiler: string,
  { source, name }: { readonly source: string; readonly name: string },
  kind: KernelImage['kind'],
  arch: string,
): Promise<KernelImage> {
  const folder = await temporaryFolder(name, compiler);
  try {
    await writeFile(join(folder, 'kernels.cu'), source);
    const args = [`-${kind}`, `-arch=${arch}`, ...sharedFlags, '-lineinfo', '-o', `kernels.${kind}`, 'kernels.cu'];
    const { ok, text } = await finish(program, args, folder);
    if (!ok)
      throw new ArtefactError(
        'A010',
        `${compiler} refuses the code of ${name} (nvcc ${args.join(' ')}):\n${text}\nCompile the layer again with a compiler of this release, and report it if it stays`,
      );
    const bytes = new Uint8Array(await readFile(join(folder, `kernels.${kind}`)).catch(() => []));
    if (bytes.length === 0)
      throw new ArtefactError(
        'A010',
        `${compiler} reports success and writes no code of ${name} (${program} ${args.join(' ')}); repair the CUDA toolkit, or name another nvcc`,
      );
    return { bytes, kind, origin: `${compiler}, ${arch}` };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function temporaryFolder(layer: string, compiler: string): Promise<string> {
  try {
    return await mkdtemp(join(tmpdir(), 'espalier-nvcc-'));
  } catch (cause) {
    throw new ArtefactError(
      'A013',
      `${layer} has no PTX, and ${compiler} has no folder to compile it in: ${(cause as Error).message}; ` +
        'set TMPDIR to a folder that can be written, or add PTX where there is one (withPtx)',
      { cause },
    );
  }
}
