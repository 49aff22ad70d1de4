/**
 * The other kinds of targets on golden data: WebGPU through Dawn and in Chromium, CUDA C on the CPU, the simulator. What a
 * machine lacks is skipped by a reason in its name; ESPALIER_REQUIRE_WEBGPU and ESPALIER_REQUIRE_BROWSER make that a failure.
 */
import { compileGraph, type Kernel, type Target, wgsl } from '@espalier/codegen';
import { simulatorTarget } from '@espalier/runtime-simulator';
import { describe, expect, test } from 'vitest';
import { ratioOf } from '../src/reports/rows.ts';
import { chromiumFamily } from '../src/targets/chromium.ts';
import { cudaHostFamily } from '../src/targets/cuda.ts';
import { families } from '../src/targets/families.ts';
import type { OpenTarget, TargetFamily } from '../src/targets/family.ts';
import { openTargets } from '../src/targets/open.ts';
import { simulatorFamily } from '../src/targets/simulator.ts';
import { wasmFamily } from '../src/targets/wasm.ts';
import { webgpuFamily } from '../src/targets/webgpu.ts';
import { validate } from '../src/validate.ts';
import { bundled, command, fixture } from './support/streams.ts';

/** Why `all` leaves a target out here; empty where it does not. */
async function lack(spec: string, family: TargetFamily): Promise<string> {
  const { targets, unavailable } = await openTargets(['all'], [{ ...family, all: () => [spec] }]);
  for (const target of targets) target[Symbol.dispose]();
  return unavailable[0]?.reason ?? '';
}

const [noWebGpu, noBrowser, noCompiler] = await Promise.all([
  lack('webgpu', webgpuFamily),
  lack('chromium:wasm', chromiumFamily),
  lack('cuda-host', cudaHostFamily),
]);

const noOnnx = async () => ({ available: false, reason: 'not asked for' }) as const;
const titled = (name: string, reason: string): string => (reason === '' ? name : `${name} (skipped: ${reason})`);

test('a GPU and a browser are there where they are required', () => {
  if (process.env['ESPALIER_REQUIRE_WEBGPU']) expect(noWebGpu).toBe('');
  if (process.env['ESPALIER_REQUIRE_BROWSER']) expect(noBrowser).toBe('');
  // What `all` leaves out has a reason that begins with a code.
  for (const reason of [noWebGpu, noBrowser, noCompiler]) expect(reason).toMatch(/^$|^R026: /);
});

/** All runs agree, every target ran every case or says why not; the share of the allowance that was used. */
async function agrees(checkpoints: readonly string[], targets: readonly string[], skipped = 0): Promise<number> {
  const report = await validate({ checkpoints, targets, timing: false, onnx: noOnnx });
  const cases = report.checkpoints.flatMap((checkpoint) => checkpoint.cases);
  const runs = cases.flatMap((one) => one.runs.filter((run) => run.kind === 'target'));
  expect(runs.flatMap((run) => (run.agrees ? [] : [`${run.name}: ${run.error ?? run.first?.message}`]))).toEqual([]);
  expect(report.agrees).toBe(true);
  expect(runs.length).toBe(cases.length * targets.length);
  expect(report.totals.skipped).toBe(skipped);
  const ratios = runs.flatMap((run) => run.comparisons.flatMap(({ checks }) => checks.map(ratioOf)));
  expect(ratios.length).toBeGreaterThan(runs.length - skipped);
  for (const pair of report.matrix.pairs) {
    expect(pair.cases).toBeGreaterThan(0);
    expect(pair.routesApart).toBe(0);
    expect(pair.maxRelative).toBeLessThan(1e-5);
  }
  return Math.max(...ratios);
}

const models = ['tiny-bert', 'tiny-ultrafastbert', 'tiny-ultrafastbert-spam'];

describe.skipIf(noWebGpu !== '')(titled('WebGPU in Node', noWebGpu), () => {
  test('layers, with what the adapter offers and without', async () => {
    expect(await agrees([fixture('layers-f64')], ['webgpu'])).toBeLessThanOrEqual(1);
    expect(await agrees([fixture('fff-leaf')], ['wasm', 'webgpu', 'webgpu:plain'])).toBeLessThanOrEqual(1);
  });
  test.each(['crammed-fff-trees', 'crammed-fff-seqcls', 'hf-bert-legacy-names'])('%s', async (name) => {
    expect(await agrees([fixture(name)], ['wasm', 'webgpu'])).toBeLessThanOrEqual(1);
  });
  test.each(models)('%s', async (name) => {
    expect(await agrees([bundled(name)], ['webgpu'])).toBeLessThanOrEqual(1);
  });
});

describe.skipIf(noBrowser !== '')(titled('in Chromium', noBrowser), () => {
  test('layers and small models, the same bits on WebAssembly as in Node', async () => {
    const report = await validate({
      checkpoints: [fixture('fff-leaf'), fixture('crammed-fff-seqcls')],
      targets: ['wasm', 'chromium:wasm', 'chromium:webgpu'],
      timing: false,
      onnx: noOnnx,
    });
    expect(report.agrees).toBe(true);
    expect(report.totals).toMatchObject({ errors: 0, skipped: 0 });
    expect(report.targets.map(({ capabilities }) => capabilities['simd'] ?? 'gpu')).toEqual([true, true, 'gpu']);
    const [same] = report.matrix.pairs;
    expect(same).toMatchObject({ a: 'wasm', b: 'chromium:wasm', maxAbs: 0, routesApart: 0 });
    expect(report.matrix.pairs[1]?.maxAbs).toBeGreaterThan(0);
  });
  test.each(models)('%s', async (name) => {
    expect(await agrees([bundled(name)], ['chromium:wasm', 'chromium:webgpu'])).toBeLessThanOrEqual(1);
  });
  test('what goes wrong in the page is said here', async () => {
    const target: OpenTarget = await chromiumFamily.open('chromium:wasm');
    try {
      const { device } = target;
      if (!('loadGraph' in device)) throw new Error('this process cannot reach a page');
      const graph = await target.compile({
        name: 'nothing',
        dims: [],
        tensors: new Map(),
        inputs: [],
        outputs: [],
        nodes: [],
        weights: new Map(),
      });
      const loaded = await device.loadGraph({ ...graph, outputs: [] }, new Map(), { poison: true });
      await expect(loaded.run({ inputs: {}, keep: ['nobody'] })).rejects.toMatchObject({
        code: 'R015',
        message: expect.stringMatching(/^in Chromium: R015/),
      });
    } finally {
      target[Symbol.dispose]();
    }
  });
});

describe.skipIf(noCompiler !== '')(titled('CUDA C on the CPU', noCompiler), () => {
  test.each(['fff-leaf', 'fff-layer-bmm'])('%s', async (name) => {
    expect(await agrees([fixture(name)], ['wasm', 'cuda-host'])).toBeLessThanOrEqual(1);
  });
});

/** The kernel as a compiler would leave it that forgot every barrier. */
const withoutBarriers = (kernel: Kernel): Kernel =>
  JSON.parse(JSON.stringify(kernel), (_, value: unknown) =>
    Array.isArray(value) ? value.filter((one: { readonly kind?: unknown } | null) => one?.kind !== 'barrier') : value,
  ) as Kernel;

describe('the simulator', () => {
  test('layers of every kind, without a finding', async () => {
    // Two deep trees are too large, for two simulators.
    expect(await agrees([fixture('layers-f64')], ['simulator:wgsl', 'simulator:cuda'], 4)).toBeLessThanOrEqual(1);
    expect(await agrees([fixture('fff-leaf')], ['wasm', 'simulator'])).toBeLessThanOrEqual(1);
  });

  test('a case that is too large is skipped, counted and said', async () => {
    const { code, out } = await command([
      bundled('tiny-bert'),
      '--targets',
      'wasm,simulator',
      '--no-report',
      '--no-timing',
    ]);
    expect(code).toBe(0);
    expect(out).toMatch(/skipped: golden is too large for simulator: \S+ operations \(limit 2\.0e6\)/);
    expect(out).toMatch(/; 1 run skipped/);
  });

  test('what it finds fails the run, in its own words', async () => {
    const right = simulatorTarget(wgsl);
    const target: Target = {
      ...right,
      legalise: (capabilities) => [...right.legalise(capabilities), { name: 'forget-barriers', run: withoutBarriers }],
    };
    const racing: TargetFamily = {
      ...simulatorFamily,
      open: async (spec) => ({
        ...(await simulatorFamily.open(spec)),
        compile: (graph) => compileGraph(graph, { target }),
      }),
    };
    const { code, out } = await command(
      [fixture('layers-f64'), '--targets', 'simulator', '--no-report', '--no-timing'],
      [racing],
    );
    expect(code).toBe(1);
    expect(out).toMatch(/✗ simulator gave no results/);
    expect(out).toMatch(/R030: [\s\S]*(race|unwritten)/);
  });
});

describe('all', () => {
  test('what is missing is no error, unless it was named', async () => {
    const absent: TargetFamily = {
      name: 'absent',
      known: ['absent'],
      defaults: () => [],
      all: () => ['absent'],
      open: () => Promise.reject(Object.assign(new Error('R026: no driver; install one'), { code: 'R026' })),
    };
    const some = [{ ...wasmFamily, all: () => ['wasm'] }, absent];
    const args = [fixture('fff-leaf'), '--no-report', '--no-timing'];
    const all = await command([...args, '--targets', 'all'], some);
    expect(all.out).toContain('absent: not available: R026: no driver; install one');
    expect(all.code).toBe(0);
    const named = await command([...args, '--targets', 'all,absent'], some);
    expect(named.code).toBe(2);
    expect(named.error).toContain('target absent does not open: R026');
    const broken = { ...absent, open: () => Promise.reject(new Error('the driver fell over')) };
    expect((await command([...args, '--targets', 'all'], [broken])).code).toBe(2);
  });

  test('every family names targets that it knows', () => {
    for (const { name, known, all, defaults } of families) {
      const specs = all?.() ?? defaults();
      expect(specs.length).toBeGreaterThan(0);
      for (const spec of [...specs, ...known]) expect(spec.split(':')[0]).toBe(name);
    }
    expect(families.flatMap((family) => family.defaults()).slice(0, 2)).toEqual(['wasm', 'wasm:plain']);
  });

  test('a misspelt option of each family is refused with those there are', async () => {
    for (const { name } of families) {
      const { code, error } = await command([fixture('fff-leaf'), '--targets', `${name}:xyzzy`]);
      expect(code).toBe(2);
      expect(error).toMatch(new RegExp(`V002: target ${name}:xyzzy does not open: R02[36]`));
    }
  });
});
