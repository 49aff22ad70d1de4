/** The device keeps the contract, and finds what is planted in the kernels of real layers. */
import type { Artefact } from '@espalier/artefact';
import { compile, type Kernel, type KernelPass, type Stmt, type Target, wgsl } from '@espalier/codegen';
import { interpretLayer, type LayerIR, layerFromText, standardLayer } from '@espalier/ir';
import { type DeviceLaunch, FaultError, type LayerRunOptions, loadLayer, RuntimeError } from '@espalier/runtime';
import { describe, expect, it } from 'vitest';
import { openSimulator, SimulationError, type SimulatorOptions, simulatorTarget } from '../src/index.ts';

const targets: readonly (readonly [string, Target])[] = [
  ['the plain machine', simulatorTarget()],
  ['wgsl', simulatorTarget(wgsl)],
];

/** A target with one pass more at its end: the mistake. */
const broken = (target: Target, run: (kernel: Kernel) => Kernel): Target => ({
  ...target,
  legalise: (capabilities): readonly KernelPass[] => [...target.legalise(capabilities), { name: 'mistake', run }],
});

/** The kernel with its statements changed, inside out; an empty list drops one. */
function changed(kernel: Kernel, change: (s: Stmt) => readonly Stmt[]): Kernel {
  const block = (body: readonly Stmt[]): readonly Stmt[] =>
    body.flatMap((s) => {
      if (s.kind === 'for') return change({ ...s, body: block(s.body) });
      if (s.kind === 'if') return change({ ...s, then: block(s.then), otherwise: block(s.otherwise) });
      return change(s);
    });
  return { ...kernel, body: block(kernel.body) };
}

type Inputs = Readonly<Record<string, Float32Array | Int32Array>>;

async function run(
  layer: LayerIR,
  target: Target,
  tensors: Inputs,
  options: SimulatorOptions & LayerRunOptions = {},
): Promise<readonly number[]> {
  using device = await openSimulator(options);
  const isWeight = (name: string): boolean => layer.tensors.some((t) => t.name === name && t.role === 'weight');
  const part = (weights: boolean): Inputs =>
    Object.fromEntries(Object.entries(tensors).filter(([name]) => isWeight(name) === weights));
  using loaded = await loadLayer(device, await compile(layer, { target }), part(true));
  const outputs = await loaded.run(part(false), options.dims === undefined ? {} : { dims: options.dims });
  return [...(outputs['y']?.data ?? [])];
}

/** The error of a run that must fail with one. */
const failure = async (running: Promise<unknown>): Promise<SimulationError> => {
  const error = await running.then(
    () => null,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(SimulationError);
  return error as SimulationError;
};

const numbers = (length: number, seed: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin((i + 1) * seed));

const chain = layerFromText(
  `layer chain(T) {
  input x[T, 7]
  total[t] = sum i: x[t, i]
  share[t, i] = x[t, i] / total[t]
  output y[t] = max i: share[t, i] * total[T - 1 - t]
}
`,
  { name: 'chain.layer' },
);

describe.each(targets)('kernels of %s', (_, target) => {
  it.each([0, 1, 40])('compute what the interpreter does, without a finding, for %i rows', async (T) => {
    const linear = standardLayer('linear', { dims: { D: 9, O: 21 } });
    const tensors = { x: numbers(T * 9, 3), w: numbers(9 * 21, 5), b: numbers(21, 7) };
    const expected = interpretLayer(linear, { dims: { T }, tensors })['y'] ?? [];
    const found = await run(linear, target, tensors);
    expect(found.length).toBe(expected.length);
    for (const [i, v] of found.entries()) expect(v).toBeCloseTo(expected[i] as number, 5);
  });

  it('may leave work to later launches', async () => {
    const tensors = { x: numbers(35, 3) };
    const expected = interpretLayer(chain, { dims: { T: 5 }, tensors })['y'] ?? [];
    const found = await run(chain, target, tensors);
    for (const [i, v] of found.entries()) expect(v).toBeCloseTo(expected[i] as number, 4);
    expect(found.length).toBe(5);
  });

  it('that leave out a store are found by who reads it, even in memory that was used before', async () => {
    const artefact = await compile(chain, { target });
    expect(artefact.manifest.launches.length).toBeGreaterThan(1);
    const workspace = artefact.manifest.bindings.find((b) => b.role === 'workspace')?.name;
    const forgetful = broken(target, (kernel) =>
      changed(kernel, (s) => (s.kind === 'store' && s.buffer === workspace ? [] : [s])),
    );
    using device = await openSimulator();
    using good = await loadLayer(device, artefact, {});
    await good.run({ x: numbers(35, 3) });
    using bad = await loadLayer(device, await compile(chain, { target: forgetful }), {});
    for (let attempt = 0; attempt < 2; attempt++) {
      const error = await failure(bad.run({ x: numbers(35, 3) }));
      expect(error.code).toBe('R030');
      expect(error.findings[0]).toMatchObject({ kind: 'unwritten-read', buffer: workspace });
      expect(error.findings[0]?.place).toMatch(/^chain\.layer:\d+:\d+/);
      expect(error.message).toMatch(/R030: chain: unwritten-read: reads element \d of \w+, which nobody has written\n/);
    }
    // The device is as good as before.
    expect((await good.run({ x: numbers(35, 3) }))['y']?.shape).toEqual([5]);
  });

  it('whose elements are one too far are found', async () => {
    const shifted = broken(target, (kernel) =>
      changed(kernel, (s) => [s.kind === 'store' && s.buffer === 'y' ? { ...s, offset: s.offset + 1 } : s]),
    );
    const error = await failure(run(chain, shifted, { x: numbers(35, 3) }));
    expect(error.findings.map((f) => [f.kind, f.buffer, f.element])).toContainEqual(['out-of-bounds', 'y', 5]);
  });

  it('that check their indices fault', async () => {
    const table = standardLayer('embedding', { dims: { V: 4, D: 3 } });
    const [ids, weight] = [
      table.tensors.find((t) => t.role === 'input'),
      table.tensors.find((t) => t.role === 'weight'),
    ];
    const tensors = (id: number): Inputs => ({
      [ids?.name ?? '']: Int32Array.of(1, id, 2),
      [weight?.name ?? '']: numbers(12, 3),
    });
    expect(await run(table, target, tensors(3))).toHaveLength(9);
    const error = await run(table, target, tensors(4)).then(null, (e: unknown) => e);
    expect(error).toBeInstanceOf(FaultError);
    expect(String(error)).toMatch(/embedding\.layer:\d+:\d+/);
  });
});

describe('lanes that meet', () => {
  it('without barriers race; with them they do not', async () => {
    const dense = standardLayer('linear', { dims: { D: 33, O: 40 } });
    const data = { x: numbers(80 * 33, 3), w: numbers(33 * 40, 5), b: numbers(40, 7) };
    expect(await run(dense, simulatorTarget(wgsl), data)).toHaveLength(80 * 40);
    let barriers = 0;
    const hasty = broken(simulatorTarget(wgsl), (kernel) =>
      changed(kernel, (s) => {
        if (s.kind === 'barrier') barriers++;
        return s.kind === 'barrier' ? [] : [s];
      }),
    );
    const error = await failure(run(dense, hasty, data));
    expect(barriers).toBeGreaterThan(0);
    expect(error.findings.map((f) => f.kind)).toContain('race');
    expect(error.findings[0]?.place).toMatch(/linear\.layer:\d+:\d+/);
  });

  it('are told of and the run goes on, where findings are collected', async () => {
    const twice = broken(simulatorTarget(), (kernel) =>
      changed(kernel, (s) => [s.kind === 'store' && s.buffer === 'y' ? { ...s, indices: [{ ...zero }] } : s]),
    );
    const zero = { kind: 'literal', value: 0, type: { scalar: 'i32', lanes: 1 } } as const;
    using device = await openSimulator({ findings: 'collect', limit: 1 });
    using loaded = await loadLayer(device, await compile(chain, { target: twice }), {});
    await loaded.run({ x: numbers(35, 3) });
    expect(device.findings).toHaveLength(1);
    expect(device.findings[0]).toMatchObject({ kind: 'race', buffer: 'y', element: 0, lanes: [1], times: 4 });
    expect(device.total).toBe(4);
    await loaded.run({ x: numbers(35, 3) });
    expect(device.total).toBe(8);
    device.clearFindings();
    expect([device.findings, device.total]).toEqual([[], 0]);
  });
});

describe('the contract', () => {
  const layer = layerFromText('layer double(T) { input x[T]  output y[t] = x[t] * 2 }', { name: 'double.layer' });
  const made = async (): Promise<Artefact> => compile(layer, { target: simulatorTarget() });

  /** A launch of `double` for three elements. */
  async function prepared(): Promise<{
    device: Awaited<ReturnType<typeof openSimulator>>;
    launch: DeviceLaunch;
  }> {
    const device = await openSimulator();
    const program = await device.load(await made());
    const input = device.createBuffer(512, 'x');
    input.write(Float32Array.of(1, 2, 3));
    const output = device.createBuffer(512, 'y');
    const range = (buffer: typeof input) => ({ buffer, byteOffset: 0, byteLength: 12 });
    const names = program.manifest.launches[0]?.bindings ?? [];
    const buffers = names.map((name) => range(name === 'x' ? input : output));
    return {
      device,
      launch: { program, launch: 0, grid: 1, scratch: 0, dims: [3], work: 1, label: 'double', buffers },
    };
  }

  it('refuses artefacts that are not its own', async () => {
    using device = await openSimulator();
    const artefact = await made();
    const loading = (change: Partial<Artefact>): Promise<unknown> => device.load({ ...artefact, ...change });
    const { manifest } = artefact;
    await expect(loading({ manifest: { ...manifest, target: 'wgsl' } })).rejects.toMatchObject({ code: 'A008' });
    await expect(loading({ manifest: { ...manifest, version: 99 as 1 } })).rejects.toMatchObject({ code: 'A002' });
    await expect(loading({ manifest: { ...manifest, requires: ['f16'] } })).rejects.toMatchObject({ code: 'A009' });
    await expect(loading({ source: `${artefact.source} ` })).rejects.toMatchObject({ code: 'A007' });
  });

  it('runs, and again; refuses what is disposed of, and runs that overlap', async () => {
    const { device, launch } = await prepared();
    const submission = device.prepare([launch]);
    const running = submission.run();
    await expect(submission.run()).rejects.toMatchObject({ code: 'R013' });
    await running;
    await submission.run();
    const output = launch.buffers.at(-1)?.buffer;
    const bytes = await output?.read(0, 12);
    expect([...new Float32Array(bytes?.buffer ?? new ArrayBuffer(0))]).toEqual([2, 4, 6]);
    output?.[Symbol.dispose]();
    await expect(submission.run()).rejects.toMatchObject({ code: 'R012' });
    expect(() => device.prepare([launch])).toThrow(RuntimeError);
    submission[Symbol.dispose]();
    await expect(submission.run()).rejects.toMatchObject({ code: 'R012' });
    device.dispose();
    expect(() => device.createBuffer(4, 'late')).toThrow(/R012/);
    await expect(device.load(await made())).rejects.toMatchObject({ code: 'R012' });
  });

  it('refuses launches that do not fit', async () => {
    const { device, launch } = await prepared();
    using elsewhere = await openSimulator();
    const [first, ...rest] = launch.buffers;
    if (first === undefined) throw new Error('the launch has no buffers');
    const wrong: readonly Partial<DeviceLaunch>[] = [
      { launch: 1 },
      { dims: [] },
      { buffers: rest },
      { buffers: [{ ...first, byteOffset: 4 }, ...rest] },
      { buffers: [{ ...first, byteOffset: 512 }, ...rest] },
      { buffers: [{ ...first, buffer: elsewhere.createBuffer(512, 'x') }, ...rest] },
    ];
    for (const change of wrong) expect(() => device.prepare([{ ...launch, ...change }])).toThrow(/R016/);
    expect(() => elsewhere.prepare([launch])).toThrow(/R016/);
    expect(() => first.buffer.write(new Uint8Array(513))).toThrow(RangeError);
    await expect(first.buffer.read(500, 13)).rejects.toThrow(RangeError);
    device.dispose();
  });

  it.each([
    ['a grid too small', { grid: 0 }, /launched with 0 steps where the kernel has 1/],
    ['memory too small', { dims: [4] }, /element 3 of x lies outside its 3 elements/],
  ])('finds %s', async (_, change, message) => {
    const { device, launch } = await prepared();
    const error = await failure(device.prepare([{ ...launch, ...change }]).run());
    expect(error.message).toMatch(message);
    device.dispose();
  });

  it('finds an output that lies in memory of an input', async () => {
    const { device, launch } = await prepared();
    const [first] = launch.buffers;
    const buffers = launch.buffers.map(() => first ?? launch.buffers[0]) as DeviceLaunch['buffers'];
    const error = await failure(device.prepare([{ ...launch, buffers }]).run());
    expect(error.findings[0]).toMatchObject({ kind: 'wrong-launch', message: 'y is written and lies in memory of x' });
    device.dispose();
  });

  it('knows what the host has written', async () => {
    const { device, launch } = await prepared();
    const fresh = device.createBuffer(512, 'fresh');
    fresh.write(Float32Array.of(1, 2));
    const buffers = launch.buffers.map((range, i) => (i === 0 ? { ...range, buffer: fresh } : range));
    const error = await failure(device.prepare([{ ...launch, buffers }]).run());
    expect(error.findings).toHaveLength(1);
    expect(error.findings[0]).toMatchObject({ kind: 'unwritten-read', buffer: 'x', element: 2, times: 1 });
    device.dispose();
  });
});
