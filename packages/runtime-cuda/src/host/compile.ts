/** Printed CUDA C as a shared library for this machine's CPU: g++ and the header host.h, the source itself unchanged. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Artefact, ArtefactError } from '@espalier/artefact';
import { RuntimeError } from '@espalier/runtime';

/** The header stands among the sources, also once the package is built. */
const HEADER = fileURLToPath(new URL('../../src/host/host.h', import.meta.url));

/**
 * Integers wrap and vectors are read through pointers to floats, as nvcc has it; a · b + c stays two operations; indices of
 * arrays and alignment are checked, by functions of the header.
 */
const FLAGS = [
  ...['-std=c++20', '-O1', '-pipe', '-shared', '-fPIC', '-fvisibility=hidden', '-march=native', '-ffp-contract=off'],
  ...['-fwrapv', '-fno-strict-aliasing', '-fno-exceptions', '-fno-rtti', '-fsanitize=bounds,alignment'],
  // Without the library of the sanitizers; only with what the code itself calls.
  ...['-nodefaultlibs', '-lm', '-lc', '-lgcc'],
] as const;

/** Nothing that a layer compiles to takes g++ longer than this unless it hangs. */
const TIMEOUT_MILLISECONDS = 180_000;

const finish = (program: string, args: readonly string[]): Promise<{ readonly ok: boolean; readonly text: string }> =>
  new Promise((resolve) => {
    const options = { timeout: TIMEOUT_MILLISECONDS, killSignal: 'SIGKILL', maxBuffer: 1 << 26 } as const;
    execFile(program, [...args], options, (error, stdout, stderr) => {
      const text = `${stdout}${stderr}`.trim();
      resolve({ ok: error === null, text: text === '' && error !== null ? error.message : text });
    });
  });

/** The compiler's name and version, "g++ 12.2.0". Rejects with RuntimeError R026 where there is none, or none that serves. */
export async function hostCompiler(program: string): Promise<string> {
  const wayOut = 'install g++ (Linux, x86-64 or 64-bit ARM), or leave out the host check';
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch))
    throw new RuntimeError('R026', `the host check does not know ${process.platform} on ${process.arch}; ${wayOut}`);
  const { ok, text } = await finish(program, ['-dumpfullversion']);
  if (!ok) throw new RuntimeError('R026', `${program} does not work: ${text.split('\n')[0]}; ${wayOut}`);
  return `g++ ${text}`;
}

/**
 * Compiles an artefact's source; resolves to the path of the library. `espalier_run` of it takes the index of a launch, the
 * number of blocks and threads, pointers, dims and a place for 256 bytes of text. Rejects with ArtefactError A010, or RuntimeError
 * R026 where `folder` cannot be written.
 */
export async function compileForHost(program: string, artefact: Artefact, folder: string): Promise<string> {
  const { manifest, source } = artefact;
  const path = (extension: string): string => join(folder, `${manifest.checksum}.${extension}`);
  try {
    // A cleaner of temporary files may have taken the folder of a device that was idle.
    await mkdir(folder, { recursive: true });
    await writeFile(path('cu'), source);
    await writeFile(path('cpp'), callers(artefact, path('cu')));
  } catch (cause) {
    throw noFolder(cause);
  }
  const { ok, text } = await finish(program, [path('cpp'), '-o', path('so'), ...FLAGS]);
  if (!ok)
    throw new ArtefactError(
      'A010',
      `g++ refuses the code of ${manifest.name}:\n${text}\nCompile the layer again with a compiler of this release, and report it if it stays`,
    );
  return path('so');
}

/** The error for a folder that cannot be made or written. */
export const noFolder = (cause: unknown): RuntimeError =>
  new RuntimeError(
    'R026',
    `the host check has no folder to compile in: ${cause instanceof Error ? cause.message : String(cause)}; ` +
      'set TMPDIR to a folder that can be written',
    { cause },
  );

/** The functions that call each kernel with the pointers and dims that it takes. */
function callers({ manifest }: Artefact, source: string): string {
  const calls = manifest.launches.map(({ kernel, bindings, scratch, checks, dims }, i) => {
    const pointers = bindings.length + (scratch === 0 ? 0 : 1) + (checks === true ? 1 : 0);
    const given = [
      ...Array.from({ length: pointers }, (_, p) => `espalier::host::Pointer{pointers[${p}]}`),
      ...dims.map((_, d) => `dims[${d}]`),
    ];
    return `static void call_${i}(void* const* pointers, const int* dims) { ${kernel}(${given.join(', ')}); }`;
  });
  return [
    `#include ${JSON.stringify(HEADER)}`,
    `#include ${JSON.stringify(source)}`,
    ...calls,
    '#define EXPORTED extern "C" __attribute__((visibility("default")))',
    'EXPORTED int espalier_run(int kernel, int grid, int threads, void* const* pointers, const int* dims, char* message) {',
    '  switch (kernel) {',
    ...calls.map(
      (_, i) => `    case ${i}: return espalier::host::run(call_${i}, grid, threads, pointers, dims, message);`,
    ),
    '  }',
    '  return 2;',
    '}',
    'EXPORTED void espalier_end() { espalier::host::end(); }',
    '',
  ].join('\n');
}
