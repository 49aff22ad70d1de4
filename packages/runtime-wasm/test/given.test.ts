/** What callers give: not arrays, arrays that are gone, and the device's own memory, which is as good an input as any. */
import type { CompiledGraph, PlanTensor } from '@espalier/artefact';
import { compile, wasm } from '@espalier/codegen';
import { layerFromText } from '@espalier/ir';
import { type InputTensor, loadGraph, loadLayer } from '@espalier/runtime';
import { describe, expect, it } from 'vitest';
import { openWasm } from '../src/index.ts';
import { failure } from './support/failure.ts';
import { scaleArtefact } from './support/kernels.ts';

const scale = Float32Array.of(1);

describe('refuses, with what was given,', () => {
  it.each<[string, unknown, string]>([
    ['a list', [1, 2], 'Array'],
    ['null', null, 'object'],
    ['a number', 3, 'Number'],
    ['an empty object', {}, 'Object'],
    ['a list in data', { data: [1, 2], shape: [2] }, 'Array'],
    ['memory', new ArrayBuffer(8), 'ArrayBuffer'],
  ])('%s', async (_, given, kind) => {
    using device = await openWasm();
    using layer = await loadLayer(device, scaleArtefact(), { scale });
    expect((await failure(layer.run({ x: given as InputTensor }))).message).toBe(
      `R003: input x of scale takes a Float32Array, got ${kind}; convert it`,
    );
    expect((await failure(loadLayer(device, scaleArtefact(), { scale: given as InputTensor }))).message).toBe(
      `R010: weight scale is a ${kind}, scale takes f32; convert it`,
    );
  });

  it('nothing at all', async () => {
    using device = await openWasm();
    const none = undefined as unknown as Record<string, InputTensor>;
    using layer = await loadLayer(device, scaleArtefact(), { scale });
    expect((await failure(layer.run(none))).message).toMatch(/^R001: scale needs input x/);
    expect((await failure(loadLayer(device, scaleArtefact(), none))).message).toMatch(/^R008: weight scale/);
  });

  it('a shape that is no list', async () => {
    using device = await openWasm();
    using layer = await loadLayer(device, scaleArtefact(), { scale });
    const data = Float32Array.of(1, 2);
    for (const shape of [2, 'two'] as unknown[])
      expect(await failure(layer.run({ x: { data, shape } as InputTensor }))).toMatchObject({ code: 'R004' });
    for (const shape of [1, '1'] as unknown[])
      expect(
        await failure(loadLayer(device, scaleArtefact(), { scale: { data: scale, shape } as InputTensor })),
      ).toMatchObject({ code: 'R011' });
  });

  it('an array that was transferred, which is no empty one', async () => {
    using device = await openWasm();
    using layer = await loadLayer(device, scaleArtefact(), { scale });
    const x = Float32Array.of(1, 2);
    structuredClone(x, { transfer: [x.buffer] });
    expect((await failure(layer.run({ x }))).message).toMatch(/^R003: .* got a detached array/);
  });

  it.each([Number.NaN, '4 GB'])('%s bytes of memory', async (maximumBytes) => {
    expect((await failure(openWasm({ maximumBytes: maximumBytes as number }))).message).toMatch(
      /^R020: the engine reserves no memory of NaN MiB; .*maximumBytes$/,
    );
  });

  it('a manifest that is none, whoever loads it', async () => {
    using device = await openWasm();
    const artefact = scaleArtefact();
    const [launch] = artefact.manifest.launches;
    const manifest = { ...artefact.manifest, launches: [{ ...launch, bindings: ['z'] }] };
    expect((await failure(device.load({ ...artefact, manifest } as typeof artefact))).message).toMatch(
      /^A003: launches\[0\]\.bindings is "z", expected one of /,
    );
  });
});

it('takes dims, inputs and outputs of any name', async () => {
  const text = 'layer odd(constructor) { input toString[constructor] output valueOf[t] = toString[t] * 2 }';
  using device = await openWasm();
  using layer = await loadLayer(device, await compile(layerFromText(text), { target: wasm }), {});
  const outputs = await layer.run({ toString: Float32Array.of(1, 2) } as unknown as Record<string, InputTensor>);
  expect(Object.entries(outputs)).toEqual([['valueOf', { shape: [2], data: Float32Array.of(2, 4) }]]);
});

describe.each([1, 2])('on %i threads, views of outputs may be inputs', (threads) => {
  it('of another layer, though its memory moves as it is prepared', async () => {
    using device = await openWasm({ threads });
    using first = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
    using second = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(3) });
    const length = 1 << 18;
    const x = Float32Array.from({ length }, (_, i) => i % 7);
    const { y: one } = await first.run({ x }, { outputs: 'view' });
    const size = device.statistics.size;
    const { y: two } = await second.run({ x: one?.data as Float32Array });
    expect(device.statistics.size).toBeGreaterThan(size);
    const { y: expected } = await second.run({ x: (await first.run({ x }))['y']?.data as Float32Array });
    expect(two).toEqual(expected);
  });

  it('of the same graph, where another input lies now', async () => {
    const layer = (text: string) => compile(layerFromText(text), { target: wasm });
    const artefacts = await Promise.all([
      layer('layer next(T) { input x[T] output y[t] = x[t] * 2 }'),
      layer('layer add(T) { input a[T], h[T] output y[t] = a[t] + h[t] }'),
    ]);
    const tensor = (name: string): PlanTensor => ({ name, storage: 'f32', shape: ['T'] });
    const plan: CompiledGraph = {
      name: 'recurrent',
      target: 'wasm',
      dims: ['T'],
      tensors: ['x', 'h', 'a', 'y'].map(tensor),
      inputs: ['x', 'h'],
      outputs: ['y'],
      steps: [
        { id: 'next', artefact: 0, dims: { T: 'T' }, tensors: { x: 'x', y: 'a' }, weights: {} },
        { id: 'add', artefact: 1, dims: { T: 'T' }, tensors: { a: 'a', h: 'h', y: 'y' }, weights: {} },
      ],
      artefacts,
    };
    using device = await openWasm({ threads });
    using graph = await loadGraph(device, plan, new Map());
    let h: Float32Array = new Float32Array(3);
    for (let step = 1; step <= 4; step++) {
      const results = await graph.run({ inputs: { x: new Float32Array(3).fill(step), h }, outputs: 'view' });
      h = results.get('y')?.data as Float32Array;
    }
    expect([...h]).toEqual([20, 20, 20]);
  });
});
