/** Builds the fake driver once a test file, and talks to it: what is alive, what was called, what shall fail. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import koffi from 'koffi';
import { enlargeStacks } from '../../src/driver/foreign.ts';

const here = (name: string): string => fileURLToPath(new URL(`../fake-driver/${name}`, import.meta.url));

/** A folder with cuda.h, where the toolkit is. */
export const cudaInclude = [process.env['CUDA_HOME'], process.env['CUDA_PATH'], '/usr/local/cuda']
  .filter((folder) => folder !== undefined)
  .map((folder) => join(folder, 'include'))
  .find((folder) => existsSync(join(folder, 'cuda.h')));

const works = (program: string): boolean => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

/** Why the tests that need a C compiler can't run here; undefined where they can. */
export const noCompiler =
  process.platform === 'linux' && works('gcc') && works('g++') ? undefined : 'no gcc and g++ on this Linux';

/** Why nvcc's tests can't run here; undefined where they can. */
export const noNvcc = works('nvcc') ? undefined : 'nvcc is not on the PATH';

type Kind = 'memory' | 'pinned' | 'event' | 'stream' | 'module' | 'graph' | 'exec' | 'context';
const kinds: readonly Kind[] = ['memory', 'pinned', 'event', 'stream', 'module', 'graph', 'exec', 'context'];

export interface FakeDriver extends AsyncDisposable {
  /** For `openCuda({ library })`. */
  readonly library: string;
  /** The shared library of kernels.cc, as the image of a module. */
  readonly kernels: Uint8Array;
  /** What is alive, by kind; kinds of which nothing is are left out. */
  live(): Partial<Record<Kind, number>>;
  set(
    name:
      | 'devices'
      | 'major'
      | 'minor'
      | 'threads'
      | 'syncMs'
      | 'strictContext'
      | 'patience'
      | 'memory'
      | 'version'
      | 'ptx',
    value: number,
  ): void;
  /** Makes a call fail with a CUresult, after some have gone well. */
  fail(name: string, skip: number, code: number): void;
  /** Whether the failure asked for hasn't come to pass. */
  waiting(): boolean;
  /** Makes a launch end in an error as it runs. */
  fault(launches: number, code: number): void;
  /** Takes back what was asked to fail, and forgets an error inside a kernel. */
  heal(): void;
  /** As a new process finds it: nothing is alive. Devices opened before must not be used any more. */
  restart(): void;
  /** The calls since the last time, in order; those that switch contexts are left out. */
  journal(): readonly string[];
}

/** Writes a program `nvcc` into `folder` that compiles for the fake driver; see fake-nvcc.ts. Resolves to its path. */
export async function writeFakeNvcc(folder: string): Promise<string> {
  const path = join(folder, 'nvcc');
  const script = fileURLToPath(new URL('./fake-nvcc.ts', import.meta.url));
  const run = `exec '${process.execPath}' --conditions=espalier-source --no-warnings '${script}' "$@"`;
  await writeFile(path, `#!/bin/sh\nFAKE_NVCC_FOLDER='${folder}' ${run}\n`, { mode: 0o755 });
  return path;
}

/** Compiles the fake driver and its kernels into a folder of their own, so that no other test file shares its state. */
export async function fakeDriver(): Promise<FakeDriver> {
  const folder = await mkdtemp(join(tmpdir(), 'espalier-fake-cuda-'));
  const library = join(folder, 'libcuda.so');
  const kernels = join(folder, 'kernels.so');
  const run = promisify(execFile);
  const header =
    cudaInclude === undefined ? [] : ['-DWITH_CUDA_H', '-D__CUDA_API_VERSION_INTERNAL', `-I${cudaInclude}`];
  const common = ['-Wall', '-Wextra', '-Werror', '-O1', '-shared', '-fPIC'];
  await run('gcc', [...common, ...header, '-o', library, here('libcuda.c'), '-lpthread', '-ldl']);
  await run('g++', [...common, '-o', kernels, here('kernels.cc')]);
  enlargeStacks();
  const handle = koffi.load(library);
  const live = handle.func('long long fake_live(const char *)');
  const set = handle.func('void fake_set(const char *, long long)');
  const fail = handle.func('void fake_fail(const char *, int, int)');
  const waiting = handle.func('int fake_waiting()');
  const fault = handle.func('void fake_fault(int, int)');
  const heal = handle.func('void fake_heal()');
  const restart = handle.func('void fake_restart()');
  const journal = handle.func('const char *fake_journal()');
  const forget = handle.func('void fake_forget()');
  return {
    library,
    kernels: new TextEncoder().encode(`HOST-LIBRARY ${kernels}`),
    live: () => Object.fromEntries(kinds.map((kind) => [kind, Number(live(kind))] as const).filter(([, n]) => n !== 0)),
    set: (name, value) => set(name, value),
    fail: (name, skip, code) => fail(name, skip, code),
    waiting: () => waiting() !== 0,
    fault: (launches, code) => fault(launches, code),
    heal: () => heal(),
    restart: () => restart(),
    journal: () => {
      const calls = (journal() as string).split(' ').filter((name) => name !== '' && name !== 'cuCtxSetCurrent');
      forget();
      return calls;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
