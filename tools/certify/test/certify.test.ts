/** The bundle, unpacked elsewhere and run with an empty environment; and a certification on the fake driver, from end to end. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type FakeDriver,
  fakeDriver,
  noCompiler,
  noNvcc,
  writeFakeNvcc,
} from '../../../packages/runtime-cuda/test/support/fake.ts';
import { makeBundle } from '../src/bundle/main.ts';
import { parseOptions } from '../src/options.ts';
import type { CertificationReport } from '../src/report.ts';

interface Ended {
  readonly code: number;
  readonly text: string;
}

/** Runs a program in a folder, with only the environment that is given. */
const run = (program: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(program, [...args], { cwd, env, timeout: 600_000, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), text: stdout + stderr }),
    );
  });

const reportIn = async (folder: string): Promise<CertificationReport> =>
  JSON.parse(await readFile(join(folder, 'certification.json'), 'utf8')) as CertificationReport;

const repository = fileURLToPath(new URL('../../../', import.meta.url));
const noBundle = noNvcc ?? (process.platform === 'linux' && process.arch === 'x64' ? undefined : 'not x64 Linux');

describe('the command line', () => {
  it('is read, or refused with a reason', () => {
    expect(parseOptions([], '/b')).toMatchObject({
      output: 'certification.json',
      quick: false,
      root: '/b',
      device: {},
    });
    expect(parseOptions(['--device', '1', '--only', 'bench,models', '--quick'], '/b')).toMatchObject({
      device: { ordinal: 1 },
      stages: ['bench', 'models'],
      quick: true,
    });
    expect(parseOptions(['--help'], '/b')).toBeUndefined();
    for (const args of [['--only', 'nothing'], ['--device', 'x'], ['--device'], ['more']])
      expect(() => parseOptions(args, '/b')).toThrow(/there is no|takes a number|needs a value/);
  });
});

describe.skipIf(noBundle)(`a bundle${noBundle ? ` (${noBundle})` : ''}`, () => {
  it('runs elsewhere, with an empty environment, and reports where there is no driver', {
    timeout: 600_000,
  }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'espalier-certify-'));
    try {
      const { archive, bytes } = await makeBundle({
        output: join(folder, 'made'),
        trial: true,
        print: () => undefined,
      });
      expect(bytes).toBeGreaterThan(20_000_000);
      const elsewhere = join(folder, 'elsewhere');
      await mkdir(elsewhere);
      await promisify(execFile)('tar', ['-xJf', archive, '-C', elsewhere]);
      await rm(join(folder, 'made'), { recursive: true });
      const args = ['--library', '/nowhere/libcuda.so.1'];
      const { code, text } = await run('./espalier-certify/certify', args, elsewhere);
      expect(text).toMatch(/no CUDA device: \/nowhere\/libcuda\.so\.1 could not be loaded/);
      expect(code).toBe(3);
      const report = await reportIn(elsewhere);
      expect(report).toMatchObject({
        format: 'espalier-certification',
        available: false,
        certified: false,
        stages: [],
      });
      expect(report.reason).toMatch(/could not be loaded/);
      expect(Date.parse(report.date)).toBeGreaterThan(0);
      expect(await run('./espalier-certify/certify', ['--what'], elsewhere)).toMatchObject({ code: 2 });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe.skipIf(noCompiler)(`a certification on the fake driver${noCompiler ? ` (${noCompiler})` : ''}`, () => {
  let fake: FakeDriver;
  let root: string;
  beforeAll(async () => {
    fake = await fakeDriver();
    root = await mkdtemp(join(tmpdir(), 'espalier-certify-fake-'));
    await mkdir(join(root, 'golden'));
    await cp(join(repository, 'fixtures/golden/fff-leaf'), join(root, 'golden/fff-leaf'), { recursive: true });
    await mkdir(join(root, 'models'));
    await cp(join(repository, 'models/tiny-ultrafastbert'), join(root, 'models/tiny-ultrafastbert'), {
      recursive: true,
    });
    await writeFakeNvcc(root);
  });
  afterAll(async () => {
    await fake?.[Symbol.asyncDispose]();
    await rm(root, { recursive: true, force: true });
  });

  const certify = (args: readonly string[], env: Record<string, string> = {}): Promise<Ended> => {
    const main = join(repository, 'tools/certify/src/main.ts');
    const given = [
      '--conditions=espalier-source',
      '--no-warnings',
      main,
      root,
      '--library',
      fake.library,
      '--quick',
      ...args,
    ];
    const PATH = `${root}:${process.env['PATH']}`;
    return run(process.execPath, given, root, { PATH, XDG_CACHE_HOME: join(root, 'cache'), HOME: root, ...env });
  };

  it('passes where the kernels are right', { timeout: 600_000 }, async () => {
    const { code, text } = await certify([]);
    const report = await reportIn(root);
    expect(
      report.stages.flatMap((s) => [s.error ?? [], s.checks.filter((c) => c.outcome === 'failed')]).flat(),
      text,
    ).toEqual([]);
    expect(code).toBe(0);
    expect(report).toMatchObject({ available: true, certified: true });
    expect(report.stages.map((stage) => [stage.name, stage.outcome])).toEqual([
      ['conformance', 'passed'],
      ['models', 'passed'],
      ['bench', 'passed'],
    ]);
    for (const stage of report.stages) expect(stage.checks.length).toBeGreaterThan(1);
    const skipped = report.stages.flatMap((stage) => stage.checks.filter((check) => check.outcome === 'skipped'));
    expect(skipped.every((check) => (check.detail ?? '') !== '')).toBe(true);
  });

  it('keeps what it has where a stage dies', { timeout: 600_000 }, async () => {
    // Kernels that nothing compiles: every check of a stage fails, and the report is written all the same.
    await rm(join(root, 'cache'), { recursive: true, force: true });
    const { code } = await certify(['--only', 'models'], {
      PATH: '/nowhere',
      CUDA_HOME: '/nowhere',
      CUDA_PATH: '/nowhere',
    });
    const report = await reportIn(root);
    expect(code).toBe(1);
    expect(report.certified).toBe(false);
    expect(report.stages).toMatchObject([{ name: 'models', outcome: 'failed' }]);
    expect(JSON.stringify(report.stages[0]?.checks)).toMatch(/A013|A010/);
  });
});
