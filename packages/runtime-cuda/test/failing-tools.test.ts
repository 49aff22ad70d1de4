/** Tools that are there and don't do what they should, and folders that cannot be written: each an error that says what to do. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Artefact, sha256Hex } from '@espalier/artefact';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { findNvcc } from '../src/compile/nvcc.ts';
import { HostMemory } from '../src/host/buffer.ts';
import { openHostCuda } from '../src/host/index.ts';
import { cudaReport } from '../src/index.ts';
import { scaling, scalingSource } from './support/artefacts.ts';

const folder = mkdtempSync(join(tmpdir(), 'espalier-failing-'));
afterAll(() => rmSync(folder, { recursive: true }));

let scripts = 0;

/** The path of a shell script. */
function script(body: string): string {
  const path = join(folder, `tool-${scripts++}`);
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

/** An nvcc that answers `--list-gpu-code` and compiles as told. */
const nvcc = (list: string, compile: string): string =>
  script(`case "$1" in\n--version) echo "release 12.3, V12.3.1";;\n--list-gpu-code) ${list};;\n*) ${compile};;\nesac`);

const job = { source: scalingSource, name: 'scaling', sm: 90, driver: '12.4' };

async function compileBy(path: string): Promise<unknown> {
  const found = await findNvcc(path);
  return 'reason' in found ? found.reason : found.compile(job);
}

/** What `task` does while there is no folder for temporary files. */
async function withoutTemporaryFolder<T>(task: () => Promise<T>): Promise<T> {
  vi.stubEnv('TMPDIR', join(folder, 'not-there'));
  try {
    return await task();
  } finally {
    vi.unstubAllEnvs();
  }
}

describe('nvcc', () => {
  it('that knows no architecture is none', async () => {
    const reason = /tool-\d+ lists no architectures \(--list-gpu-code\): no licence/;
    expect(await compileBy(nvcc('echo no licence >&2; exit 1', 'exit 1'))).toMatch(reason);
    expect(await compileBy(nvcc('echo no licence', 'exit 1'))).toMatch(reason);
  });

  it('that writes nothing, or nothing into its file, is an error', async () => {
    for (const compile of ['exit 0', ': > kernels.cubin'])
      await expect(compileBy(nvcc('echo sm_90', compile))).rejects.toThrow(
        /^A010: nvcc 12\.3 reports success and writes no code of scaling .*; repair the CUDA toolkit/,
      );
  });

  it('without a folder to compile in is an error', async () => {
    const path = nvcc('echo sm_90', 'echo code > kernels.cubin');
    expect(await compileBy(path)).toMatchObject({ kind: 'cubin' });
    await expect(withoutTemporaryFolder(() => compileBy(path))).rejects.toThrow(
      /^A013: scaling has no PTX, and nvcc 12\.3 has no folder to compile it in: ENOENT.*; set TMPDIR/,
    );
  });

  it('by a name that none can have is reported as missing', async () => {
    for (const path of ['', 'with a \0 in it'])
      expect((await cudaReport({ nvcc: path })).toolkit.nvcc).toMatchObject({ found: false });
  });
});

describe.skipIf(process.platform !== 'linux')('the host check', () => {
  /** A g++ that tells whether it found its source, and a number that rises. */
  const compiler = (): string => {
    const count = join(folder, `count-${scripts}`);
    const compile = `test -f "$1" && echo "found $1"; echo x >> ${count}; echo "try $(wc -l < ${count})"; exit 1`;
    return script(`if [ "$1" = -dumpfullversion ]; then echo 12.2; else ${compile}; fi`);
  };
  const artefact = async (): Promise<Artefact> => {
    const { manifest } = await scaling(new Uint8Array(1));
    return { manifest: { ...manifest, checksum: await sha256Hex(scalingSource) }, source: scalingSource };
  };

  it('without a folder to compile in is an error', async () => {
    const path = compiler();
    await expect(withoutTemporaryFolder(() => openHostCuda({ compiler: path }))).rejects.toThrow(
      /^R026: the host check has no folder to compile in: ENOENT.*; set TMPDIR/,
    );
  });

  it('tries again what failed, also once its folder was cleaned away', async () => {
    using device = await openHostCuda({ compiler: compiler() });
    const error = await device.load(await artefact()).catch((refused: unknown) => String(refused));
    const source = /A010: [\s\S]*found (.*\.cpp)\ntry 1\n/.exec(String(error))?.[1];
    rmSync(dirname(source ?? ''), { recursive: true });
    await expect(device.load(await artefact())).rejects.toThrow(/^A010: [\s\S]*found .*\ntry 2\n/);
  });

  it('says so where there is no memory for a buffer', async () => {
    expect(() => new HostMemory(2 ** 50)).toThrow(
      /^R020: out of memory: .* bytes at once .*; run fewer tokens at once/,
    );
  });
});
