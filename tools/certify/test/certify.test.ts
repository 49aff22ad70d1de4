/** The bundle, unpacked elsewhere and run with an empty environment; and a certification on the fake driver, from end to end. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
import { ORT_FOLDER } from '../src/bundle/layout.ts';
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
    expect(parseOptions(['--vulkan-icd', '/icd.json'], '/b')).toMatchObject({ vulkanIcd: '/icd.json' });
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

/** The software driver that comes with Chromium: an adapter for machines without one. */
const software = '/usr/lib/chromium/vk_swiftshader_icd.json';
const noSoftware = existsSync(software) ? undefined : 'no SwiftShader beside a Chromium';

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
    const ort = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
    await symlink(ort, join(root, ORT_FOLDER));
    const source = fileURLToPath(new URL('./fake-cublas.c', import.meta.url));
    const flags = ['-O1', '-shared', '-fPIC', '-o', join(root, 'libcublasLt.so.13')];
    await promisify(execFile)('gcc', [...flags, source, fake.library]);
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
    const usual = { PATH, LD_LIBRARY_PATH: root, XDG_CACHE_HOME: join(root, 'cache'), HOME: root };
    return run(process.execPath, given, root, { ...usual, ...env });
  };

  it('passes where the kernels are right, and compares what it timed', { timeout: 600_000 }, async () => {
    const { code, text } = await certify(['--only', 'conformance,models,bench']);
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
    const by = (who: string) => report.stages[2]?.checks.filter(({ subject }) => subject?.by === who) ?? [];
    expect(by('cuBLASLt')).toHaveLength(12);
    for (const { name, figures } of [...by('cuBLASLt'), ...by('espalier')])
      expect(figures, name).toMatchObject({ median: expect.any(Number), backToBack: expect.any(Number) });
    expect(by('espalier').map(({ subject }) => subject?.work)).toEqual(
      expect.arrayContaining(['tree 1x11 of 768, f16 weights', 'UltraFastBERT-1x11-shaped', 'tiny-ultrafastbert']),
    );
    const whole = by('espalier').find(({ subject }) => subject?.work === 'UltraFastBERT-1x11-shaped');
    expect(Object.keys(whole?.figures ?? {}).filter((name) => name.startsWith('part.'))).toEqual(
      ['qkv', 'attention', 'projected', 'attended norm', 'fff', 'fff norm'].map((part) => `part.${part}`),
    );
    // A tree and its half, both with one token, 12 products, one pair of encoders.
    expect(report.ratios).toHaveLength(12 + 2 + 2 + 1);
    expect(text).toMatch(/UltraFastBERT-1x11-shaped: speed, BERT-base-shaped being 1 +f32 +128/);
    const skipped = report.stages.flatMap((stage) => stage.checks.filter((check) => check.outcome === 'skipped'));
    expect(skipped.every((check) => (check.detail ?? '') !== '')).toBe(true);
  });

  it.skipIf(noSoftware)(
    `does WebGPU on a driver that was named${noSoftware ? ` (${noSoftware})` : ''}`,
    {
      timeout: 600_000,
    },
    async () => {
      const { code, text } = await certify(['--only', 'webgpu', '--vulkan-icd', software]);
      const report = await reportIn(root);
      const [stage] = report.stages;
      expect(
        stage?.checks.filter(({ outcome }) => outcome === 'failed'),
        text,
      ).toEqual([]);
      expect([code, stage?.outcome]).toEqual([0, 'passed']);
      expect(stage?.checks[0]).toMatchObject({ name: 'adapter', figures: { architecture: 'swiftshader' } });
      const names = stage?.checks.map(({ name }) => name).join('\n');
      for (const part of [/^plain: /m, /^subgroups: /m, /^webgpu:plain: golden/m, /^onnxruntime-web, .* plain/m])
        expect(names).toMatch(part);
      expect(report.ratios).toMatchObject([{ tokens: 14, chosen: expect.stringMatching(/^(exported|plain)$/) }]);
    },
  );

  it('skips WebGPU with the reason where a driver is no driver, and is certified all the same', {
    timeout: 600_000,
  }, async () => {
    const { code } = await certify(['--only', 'webgpu', '--vulkan-icd', '/nowhere/icd.json']);
    const report = await reportIn(root);
    expect(code).toBe(0);
    expect(report).toMatchObject({ certified: true, stages: [{ name: 'webgpu', outcome: 'skipped' }] });
    expect(report.stages[0]?.checks).toMatchObject([
      { name: 'adapter, /nowhere/icd.json', outcome: 'skipped', detail: expect.stringMatching(/./) },
    ]);
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
