/** Reports as people read them, and what is found out for them about a machine. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nvidiaDriver, versionIn } from '../src/nvidia-driver.ts';
import { asReport, markdownOf, type ReadReport, resultName, withoutFolders } from '../src/render.ts';
import { saveReport } from '../src/render-main.ts';
import { digits, markdownTable, plainTable } from '../src/table.ts';
import { vulkanEnvironments } from '../src/webgpu/environment.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'espalier-certify-report-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const report: ReadReport = {
  format: 'espalier-certification',
  version: 2,
  date: '2026-11-28T02:26:40.153Z',
  command: ['/some/where/bundle', '--output', '/some/where/cert.json', '--quick'],
  generator: 'espalier 0.1.0',
  machine: {
    node: '24.0.0',
    platform: 'linux x64',
    cpu: 'A CPU',
    cores: 16,
    memoryBytes: 1,
    nvidiaDriver: '580.95.05',
  },
  available: true,
  cuda: {
    available: true,
    driver: { found: true, path: 'libcuda.so.1', version: '13.0' },
    toolkit: { nvcc: { found: false, reason: 'none' }, nvrtc: { found: false, reason: 'none' } },
    devices: [
      {
        ...{ ordinal: 0, name: 'NVIDIA H100 80GB HBM3', sm: 90, multiprocessors: 132, warpSize: 32 },
        ...{ memoryBytes: 80 * 2 ** 30, l2Bytes: 1, sharedBytes: 1, sharedBytesOptin: 1, threadsPerBlock: 1024 },
        ...{ clockKilohertz: 1, memoryClockKilohertz: 1, memoryBusBits: 1 },
      },
    ],
  },
  certified: false,
  stages: [
    {
      name: 'bench',
      outcome: 'failed',
      error: 'ended by SIGKILL',
      seconds: 12.345,
      checks: [
        { name: 'cuBLASLt', outcome: 'skipped', detail: 'no such\nlibrary' },
        {
          name: 'dense, f32, 1 token',
          outcome: 'passed',
          figures: {
            median: 0.01,
            low: 0.009,
            high: 0.02,
            backToBack: 0.00512,
            gflops: 921.6,
            microsecondsPerToken: 5.12,
          },
        },
        {
          name: 'tiny, WebGPU',
          outcome: 'passed',
          figures: { byClock: 1.5, lowByClock: 1, highByClock: 2, dispatches: 50 },
        },
        { name: 'whole', outcome: 'passed', figures: { 'part.ff': 0.001, 'part.attention': 0.003 } },
        { name: 'adapter', outcome: 'passed', figures: { vendor: 'nvidia', device: '', description: 'NVIDIA H100' } },
      ],
    },
  ],
  ratios: [
    { name: 'a | b', precision: 'bf16', tokens: 16, microseconds: 10, comparedWith: 20, times: 2, aim: 0.8, met: true },
    { name: 'one token', precision: 'f32', tokens: 1, microseconds: 7, aim: 6, met: false },
  ],
};

describe('a rendered report', () => {
  it('says what ran where, what failed, and every figure', () => {
    const page = markdownOf(report);
    expect(page).toMatch(/^# Certification of NVIDIA H100 80GB HBM3, 2026-11-28\n/);
    for (const line of [
      '| device | NVIDIA H100 80GB HBM3, sm_90, 132 multiprocessors, 80 GiB |',
      '| driver | 580.95.05, CUDA 13.0 |',
      '| command | `certify --output cert.json --quick` |',
      '| certified | no |',
      '| bench | failed | 4 | 0 | 1 | 12.3 |',
      '- bench: ended by SIGKILL',
      '- bench, cuBLASLt: skipped; no such library',
      '| a \\| b | bf16 | 16 | 10 | 20 | 2 | ≥ 0.8, met |',
      '| one token | f32 | 1 | 7 |  |  | ≤ 6, missed |',
      '| dense, f32, 1 token | 5.12 | 10 (9, 20) | 5.12 | 0.922 |  |  |  |',
      '| tiny, WebGPU | 1500 (1000, 2000) |  | 50 |  |',
      '| whole | 4 | attention 75 %, ff 25 % |',
      '- vendor: nvidia',
    ])
      expect(page.split('\n')).toContain(line);
    expect(page).not.toMatch(/\/some\/where|- device: \n/);
  });

  it('is kept beside its data, without folders of the machine', async () => {
    const file = join(folder, 'certification.json');
    await writeFile(file, JSON.stringify(report));
    const path = await saveReport(file, join(folder, 'results'));
    expect(path).toBe(join(folder, 'results', '2026-11-28-nvidia-h100-80gb-hbm3'));
    const saved: unknown = JSON.parse(await readFile(`${path}.json`, 'utf8'));
    expect(saved).toEqual({ ...report, command: ['--output', 'cert.json', '--quick'] });
    expect(await readFile(`${path}.md`, 'utf8')).toBe(markdownOf(asReport(saved)));
    const complaint = `no driver at /usr/lib/x.json, said ${['', 'tmp', 'build', 'vulkan.cpp'].join('/')} of ${['', 'tmp', 'x', 'y.json'].join('/')}`;
    await writeFile(file, JSON.stringify({ ...report, reason: complaint }));
    const cleaned = await readFile(`${await saveReport(file, join(folder, 'results'))}.json`, 'utf8');
    expect(JSON.parse(cleaned)).toMatchObject({ reason: 'no driver at /usr/lib/x.json, said vulkan.cpp of y.json' });
  });

  it('reads reports without ratios or devices, and nothing else', () => {
    const { ratios: _, ...old } = report;
    expect(markdownOf({ ...old, version: 1 })).not.toMatch(/What the timings come to/);
    const none: ReadReport = { ...report, reason: 'no driver', stages: [], cuda: { ...report.cuda, devices: [] } };
    expect(markdownOf(none)).toMatch(/\| device \| no driver \|/);
    expect(resultName(none)).toBe('2026-11-28-no-device');
    for (const odd of [null, {}, { format: 'espalier-certification' }, [1]])
      expect(() => asReport(odd)).toThrow(/no certification\.json/);
    expect(withoutFolders(['--device', '1', '--vulkan-icd', '/a/b.json'])).toEqual([
      ...['--device', '1', '--vulkan-icd', 'b.json'],
    ]);
  });
});

it('writes tables for terminals and for Markdown', () => {
  const rows = [
    ['a', '1'],
    ['long', '200'],
  ];
  expect(plainTable(['', 'µs'], rows)).toEqual(['       µs', '----  ---', 'a       1', 'long  200']);
  expect(markdownTable(['', 'µs'], rows)).toEqual(['|  | µs |', '| --- | ---: |', '| a | 1 |', '| long | 200 |']);
  expect([0.0712345, 6.0281, 143.4, 12345.6, Number.NaN].map(digits)).toEqual(['0.0712', '6.03', '143', '12346', '–']);
});

it("finds the kernel driver's version, or not", async () => {
  const module = join(folder, 'version');
  await writeFile(
    module,
    'NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23\nGCC version: gcc 12.3.0\n',
  );
  expect(await nvidiaDriver(module, '/nowhere/nvidia-smi')).toBe('580.95.05');
  expect(await nvidiaDriver('/nowhere/version', '/nowhere/nvidia-smi')).toBeUndefined();
  const smi = join(folder, 'nvidia-smi');
  await writeFile(smi, '#!/bin/sh\necho 535.104\n', { mode: 0o755 });
  expect(await nvidiaDriver('/nowhere/version', smi)).toBe('535.104');
  expect(versionIn('nothing 12.3.0')).toBeUndefined();
});

describe('where a Vulkan driver is looked for', () => {
  const usual = async () => {
    const icds = join(folder, 'icd.d');
    const scratch = join(folder, 'scratch');
    await mkdir(join(folder, 'vulkan'), { recursive: true });
    await mkdir(icds, { recursive: true });
    await mkdir(scratch, { recursive: true });
    await writeFile(join(folder, 'vulkan/libvulkan.so.1'), '');
    await writeFile(join(icds, 'nvidia_icd.json'), '{}');
    await writeFile(join(icds, 'lvp_icd.json'), '{}');
    return { root: folder, scratch, variables: {}, folders: [icds, '/nowhere'], libraries: [], finds: () => true };
  };

  it('is where NVIDIA describes it, then its libraries by name, then anywhere', async () => {
    const around = await usual();
    const found = vulkanEnvironments(around);
    const described = join(folder, 'icd.d/nvidia_icd.json');
    expect(found.map(({ name }) => name)).toEqual([
      described,
      'libGLX_nvidia.so.0',
      'libEGL_nvidia.so.0',
      'any driver',
    ]);
    expect(found[0]?.variables).toEqual({
      VK_LOADER_DEBUG: 'error,warn',
      VK_DRIVER_FILES: described,
      VK_ICD_FILENAMES: described,
    });
    const written: unknown = JSON.parse(await readFile(found[2]?.variables['VK_DRIVER_FILES'] ?? '', 'utf8'));
    expect(written).toMatchObject({ ICD: { library_path: 'libEGL_nvidia.so.0' } });
    expect(found[3]?.variables).toEqual({ VK_LOADER_DEBUG: 'error,warn' });
  });

  it('is where it was said to be, and nowhere else', async () => {
    const around = await usual();
    expect(vulkanEnvironments({ ...around, icd: '/a.json' })).toMatchObject([
      { name: '/a.json', variables: { VK_DRIVER_FILES: '/a.json' } },
    ]);
    expect(vulkanEnvironments({ ...around, variables: { VK_ICD_FILENAMES: '/b.json' } })).toMatchObject([
      { name: '/b.json', variables: { VK_DRIVER_FILES: '/b.json' } },
    ]);
  });

  it("comes with the bundle's loader only where the system has none", async () => {
    const around = await usual();
    const variables = { LD_LIBRARY_PATH: '/theirs' };
    const libraries = [join(folder, 'icd.d'), '/nowhere'];
    const with_ = (finds: boolean) =>
      vulkanEnvironments({ ...around, variables, libraries, finds: () => finds })[0]?.variables['LD_LIBRARY_PATH'];
    expect(with_(false)).toBe(`${join(folder, 'vulkan')}:/theirs:${libraries[0]}`);
    expect(with_(true)).toBe(`/theirs:${libraries[0]}`);
  });
});
