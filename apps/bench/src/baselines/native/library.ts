/** C programs of `native/`, compiled for this very machine when they are first needed, and called in this process. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import type { Absence } from '../../contract.ts';

export type Library = ReturnType<typeof koffi.load>;

/**
 * No -ffast-math: results are checked, and exact sums of a fixed order are part of what is compared. Contraction to fused
 * multiply-adds, no errno and no floating-point traps are what lets loops become vectors.
 */
export const FLAGS = ['-O3', '-march=native', '-ffp-contract=fast', '-fno-math-errno', '-fno-trapping-math'] as const;

const BLAS = 'apt-get install -y libopenblas-dev';

const FOLDER = fileURLToPath(new URL('../../../native/', import.meta.url));

/** Names a build: its program, what it includes, how it is compiled and for which processor. */
function keyOf(name: string, link: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of readdirSync(FOLDER).sort())
    if (file === `${name}.c` || file.endsWith('.h')) hash.update(readFileSync(join(FOLDER, file)));
  return hash
    .update([...FLAGS, ...link, process.arch].join(' '))
    .digest('hex')
    .slice(0, 16);
}

/** Compiles `native/<name>.c` once for each text of it and loads it, or says what is missing. */
export function nativeLibrary(name: string, link: readonly string[] = []): Library | Absence {
  const builds = join(tmpdir(), 'espalier-bench');
  const file = join(builds, `${name}-${keyOf(name, link)}.so`);
  if (!existsSync(file)) {
    mkdirSync(builds, { recursive: true });
    // Processes that start together each make their own, and the last one in place serves all.
    const mine = `${file}.${process.pid}`;
    try {
      const source = join(FOLDER, `${name}.c`);
      execFileSync('cc', [...FLAGS, '-shared', '-fPIC', source, '-o', mine, ...link, '-lm'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
    } catch (error) {
      return whyNot(error as Failure, link);
    }
    renameSync(mine, file);
  }
  try {
    return koffi.load(file);
  } catch (error) {
    return {
      reason: `it does not load here (${(error as Error).message})`,
      ...(link.length > 0 ? { command: BLAS } : {}),
    };
  }
}

interface Failure {
  readonly code?: string;
  readonly stderr?: Buffer;
}

function whyNot({ code, stderr }: Failure, link: readonly string[]): Absence {
  if (code === 'ENOENT') return { reason: 'there is no C compiler', command: 'apt-get install -y gcc libc6-dev' };
  const said = stderr?.toString() ?? '';
  if (link.some((l) => l.includes('openblas')) && /cblas\.h|openblas/.test(said))
    return { reason: 'OpenBLAS is not installed', command: BLAS };
  const line = said.split('\n').find((l) => l.includes('error')) ?? said.split('\n')[0] ?? '';
  return { reason: `it does not compile here (${line.replace(/^.*error:\s*/, '').trim()})` };
}

export const isMissing = (x: Library | Absence): x is Absence => 'reason' in x;

export const oneThread: Absence = { reason: 'it runs on one thread only' };

/** Whether this processor has 512-bit vectors; false where nothing can be compiled to ask. */
export function hasWideVectors(): boolean {
  const library = nativeLibrary('ceilings');
  return !isMissing(library) && library.func('int32_t has_512()')() === 1;
}

/**
 * A program on OpenBLAS, whose kernels are chosen once, when the first such program is loaded: by itself for this processor, whatever
 * OPENBLAS_CORETYPE says, which on some machines holds it to narrower vectors and would make it a weak peer.
 */
export const blasLibrary = (name: string): Library | Absence =>
  withKernels(null, () => nativeLibrary(name, ['-lopenblas']));

/** Loads while OpenBLAS is told to take these kernels, or none in particular. */
export function withKernels(core: string | null, load: () => Library | Absence): Library | Absence {
  const before = process.env['OPENBLAS_CORETYPE'];
  const set = (value: string | null | undefined): void => {
    if (value == null) delete process.env['OPENBLAS_CORETYPE'];
    else process.env['OPENBLAS_CORETYPE'] = value;
  };
  set(core);
  try {
    return load();
  } finally {
    set(before);
  }
}
