/** Graphs on a device that is nothing but the contract: values, keeping, reuse of what was prepared, and every refusal. */
import type { CompiledGraph, WeightData } from '@espalier/artefact';
import { describe, expect, it } from 'vitest';
import {
  type GraphRun,
  loadGraph,
  loadLayer,
  RuntimeError,
  type WeightSource,
  type WeightTensor,
} from '../src/index.ts';
import { bias, failing, fakeDevice as openFake, residualGraph, twice } from './support/fake-device.ts';

const full = (): Error => new RuntimeError('R020', 'the fake is full');
const weight = (...data: number[]): WeightTensor => ({ storage: 'f32', shape: [3], data: Float32Array.from(data) });
const weightsOf = (blocks: number): Map<string, WeightTensor> =>
  new Map(Array.from({ length: blocks }, (_, i) => [`w${i}`, weight(i, i + 1, -i)]));

const failure = async (promise: Promise<unknown>): Promise<Error> => {
  const result = await promise.then(
    () => undefined,
    (error: Error) => error,
  );
  if (!result) throw new Error('expected a rejection');
  return result;
};

/** All tensors of `residualGraph`, by plain arithmetic. */
function reference(blocks: number, x: Float32Array): Map<string, Float32Array> {
  const all = new Map([['x', x]]);
  let h = x;
  for (let i = 0; i < blocks; i++) {
    const w = [i, i + 1, -i];
    const b = h.map((v, k) => v + (w[k % 3] as number));
    const before = h;
    h = b.map((v, k) => 2 * v + (before[k] as number));
    all.set(`b${i}`, b);
    all.set(i === blocks - 1 ? 'out' : `h${i + 1}`, h);
  }
  return all;
}

const ramp = (length: number): Float32Array => Float32Array.from({ length }, (_, i) => (i % 17) - 8);

describe.each([
  ['one arena', false],
  ['separate buffers, far away', true],
])('a graph on a device with %s', (_, remote) => {
  const fakeDevice = (error: () => Error) => openFake(error, remote);

  it('computes its outputs, infers dims, and frees everything', async () => {
    const device = fakeDevice(full);
    const graph = await loadGraph(device, residualGraph(4), weightsOf(4));
    for (const [B, S] of [
      [1, 1],
      [2, 5],
      [3, 1],
      [2, 5],
    ] as const) {
      const x = ramp(B * S * 3);
      const results = await graph.run({ inputs: { x: { data: x, shape: [B, S, 3] } } });
      expect([...results.keys()]).toEqual(['out']);
      expect(results.get('out')).toEqual({ shape: [B, S, 3], data: reference(4, x).get('out') });
    }
    expect(device.counts).toMatchObject({ loads: 2, prepared: 3 });
    graph.dispose();
    graph.dispose();
    expect(device.counts).toMatchObject({ live: 0, liveBytes: 0 });
  });

  it('fetches weights on demand one at a time, once each, and lets go of them', async () => {
    const device = fakeDevice(full);
    const eager = weightsOf(4);
    const order: string[] = [];
    const weights = new Map(
      [...eager].map(([name, { data, ...rest }]) => {
        // Every other one uses the room it is given.
        const load = async (room: WeightData) => {
          order.push(`fetch ${name} beside ${device.counts.buffers} buffers`);
          expect(room).toBeInstanceOf(Float32Array);
          expect(room.length).toBe(3);
          await null;
          if (order.length % 2 === 0) return data;
          room.set(data);
          return room;
        };
        return [name, { ...rest, load }] as const;
      }),
    );
    using graph = await loadGraph(device, residualGraph(4), weights);
    expect(order).toEqual([0, 1, 2, 3].map((i) => `fetch w${i} beside ${i} buffers`));
    const x = ramp(6);
    const results = await graph.run({ inputs: { x: { data: x, shape: [1, 2, 3] } } });
    expect(results.get('out')?.data).toEqual(reference(4, x).get('out'));
  });

  it.each([
    ['fails', () => Promise.reject(new Error('the disk is gone')), /^the disk is gone$/],
    [
      'has another type',
      () => new Int32Array(3),
      /^R010: weight w1 was said to be f32 and loads as i32; correct its load$/,
    ],
    ['is no array', () => undefined as unknown as Float32Array, /^R010: .* loads as undefined/],
    [
      'is too short',
      () => new Float32Array(2),
      /^R011: weight w1 was said to have 3 elements and loads 2; correct its load$/,
    ],
  ])('frees everything when a weight on demand %s', async (_, load, message) => {
    const device = fakeDevice(full);
    const weights = new Map<string, WeightSource>(weightsOf(2)).set('w1', { storage: 'f32', shape: [3], load });
    expect((await failure(loadGraph(device, residualGraph(2), weights))).message).toMatch(message);
    expect(device.counts).toMatchObject({ live: 0, liveBytes: 0 });
  });

  it('refuses a weight of more elements than kernels can number before anything is fetched or loaded', async () => {
    const device = fakeDevice(full);
    const small = residualGraph(1);
    const shape = [2 ** 16, 2 ** 15];
    const graph = {
      ...small,
      artefacts: small.artefacts.map(({ source, manifest }) => ({
        source,
        manifest: { ...manifest, bindings: manifest.bindings.map((b) => (b.role === 'weight' ? { ...b, shape } : b)) },
      })),
    };
    const weights = new Map<string, WeightSource>([['w0', { storage: 'f32', shape, load: () => new Float32Array() }]]);
    expect((await failure(loadGraph(device, graph, weights))).message).toBe(
      'R025: weight w0 of [65536, 32768] has 2147483648 elements, kernels number at most 2146435072; use smaller weights',
    );
    expect(device.counts.loads).toBe(0);
  });

  it('checks the stated shape of a weight on demand before anything is fetched or loaded', async () => {
    const device = fakeDevice(full);
    const load = (): never => {
      throw new Error('fetched');
    };
    const weights = new Map<string, WeightSource>(weightsOf(2)).set('w1', { storage: 'f32', shape: [4], load });
    expect((await failure(loadGraph(device, residualGraph(2), weights))).message).toMatch(
      /^R011: weight w1 has shape \[4\]/,
    );
    expect(device.counts.loads).toBe(0);
  });

  it('refuses to be prepared where nothing runs at once, and frees what that took', async () => {
    const device = fakeDevice(full);
    using graph = await loadGraph(device, residualGraph(2), weightsOf(2));
    const { live, liveBytes } = device.counts;
    const error = await failure(graph.prepare({ B: 1, S: 1 }));
    expect(error.message).toMatch(/^R028: .* cannot run a prepared graph on the calling thread; use run instead/);
    expect(device.counts).toMatchObject({ live, liveBytes });
  });

  it('keeps any tensors, or all, with the values they had', async () => {
    const device = fakeDevice(full);
    using graph = await loadGraph(device, residualGraph(5), weightsOf(5));
    const data = ramp(12);
    const inputs = { x: { data, shape: [2, 2, 3] } };
    const expected = reference(5, data);
    const some = await graph.run({ inputs, keep: ['b1', 'h3', 'x', 'b1'] });
    expect([...some.keys()].sort()).toEqual(['b1', 'h3', 'out', 'x']);
    const all = await graph.run({ inputs: new Map(Object.entries(inputs)), keep: 'all' });
    expect([...all.keys()].sort()).toEqual([...expected.keys()].sort());
    for (const results of [some, all]) for (const [name, { data }] of results) expect(data).toEqual(expected.get(name));
  });

  it('shares memory among tensors whose lives do not meet', async () => {
    const device = fakeDevice(full);
    using graph = await loadGraph(device, residualGraph(20), weightsOf(20));
    await graph.run({ inputs: { x: ramp(64 * 3) }, dims: { B: 1 } });
    const tensor = 64 * 3 * 4;
    expect(graph.memory.arenas).toBeLessThanOrEqual(4 * tensor);
  });

  it('packs a weight of several steps once', async () => {
    const device = fakeDevice(full);
    using graph = await loadGraph(device, residualGraph(6, true), new Map([['w', weight(1, 2, 3)]]));
    expect(device.counts).toMatchObject({ buffers: 1, packedBytes: 12 });
    expect(graph.memory.weights).toBe(12);
  });

  it('loads an artefact once that stands in the list twice', async () => {
    const device = fakeDevice(full);
    const graph = residualGraph(2);
    const doubled = {
      ...graph,
      artefacts: [...graph.artefacts, ...structuredClone(graph.artefacts)],
      steps: graph.steps.map((step, i) => ({ ...step, artefact: step.artefact + (i < 2 ? 0 : 2) })),
    };
    const loaded = await loadGraph(device, doubled, weightsOf(2));
    const data = ramp(6);
    const results = await loaded.run({ inputs: { x: { data, shape: [1, 2, 3] } } });
    expect(results.get('out')?.data).toEqual(reference(2, data).get('out'));
    expect(device.counts.loads).toBe(2);
    loaded.dispose();
    expect(device.counts.live).toBe(0);
  });

  it('forgets the dims used longest ago', async () => {
    const device = fakeDevice(full);
    using graph = await loadGraph(device, residualGraph(1), weightsOf(1), { prepared: 2 });
    const run = (S: number): Promise<unknown> => graph.run({ inputs: { x: ramp(S * 3) }, dims: { B: 1 } });
    for (const S of [1, 2, 1, 3, 1, 2]) await run(S);
    // 1, 2 and 3 are prepared; 3 pushed out 2, so the last one is prepared again.
    expect(device.counts.prepared).toBe(4);
  });

  it('gives up memory held for other dims before it gives up', async () => {
    const device = fakeDevice(full);
    using graph = await loadGraph(device, residualGraph(1), weightsOf(1));
    const run = (S: number): Promise<Map<string, unknown>> => graph.run({ inputs: { x: ramp(S * 3) }, dims: { B: 1 } });
    await run(10);
    await run(20);
    device.limit = device.counts.liveBytes + 100;
    await run(30);
    device.limit = 100;
    expect(await failure(run(50))).toMatchObject({ code: 'R020' });
    device.limit = Number.POSITIVE_INFINITY;
    expect((await run(50)).size).toBe(1);
  });

  it('gives empty outputs for empty inputs', async () => {
    using graph = await loadGraph(fakeDevice(full), residualGraph(2), weightsOf(2));
    const results = await graph.run({ inputs: { x: { data: new Float32Array(0), shape: [4, 0, 3] } }, keep: 'all' });
    expect(results.get('out')).toEqual({ shape: [4, 0, 3], data: new Float32Array(0) });
    expect(results.size).toBe(5);
  });

  it('refuses a run while another is going on, and may be disposed of meanwhile', async () => {
    const device = fakeDevice(full);
    const graph = await loadGraph(device, residualGraph(1), weightsOf(1));
    const call: GraphRun = { inputs: { x: ramp(3) }, dims: { B: 1 } };
    const { promise, resolve } = Promise.withResolvers<void>();
    device.gate = promise;
    const first = graph.run(call);
    expect((await failure(graph.run(call))).message).toBe(
      'R013: graph residual is still running; await the last run, or load the graph once for each concurrent caller',
    );
    graph.dispose();
    expect(device.counts.live).toBeGreaterThan(0);
    resolve();
    expect((await first).size).toBe(1);
    expect(device.counts.live).toBe(0);
    expect((await failure(graph.run(call))).message).toBe('R012: graph residual was disposed of; load it again');
  });

  it('may be run again after a run that failed', async () => {
    const device = fakeDevice(full);
    using layer = await loadLayer(device, failing, {});
    for (let i = 0; i < 2; i++) expect((await failure(layer.run({ x: ramp(3) }))).message).toBe('failed on purpose');
  });
});

it('reads in the run itself where a device offers that', async () => {
  const device = openFake(full, true);
  using graph = await loadGraph(device, residualGraph(3), weightsOf(3));
  const data = ramp(12);
  const results = await graph.run({ inputs: { x: { data, shape: [2, 2, 3] } }, keep: 'all', outputs: 'view' });
  for (const [name, expected] of reference(3, data)) expect(results.get(name)?.data).toEqual(expected);
  expect(device.counts.reads).toBe(0);
});

describe('refuses', () => {
  const fakeDevice = openFake;
  const device = fakeDevice(full);
  const x = { data: ramp(6), shape: [1, 2, 3] };
  it.each<[string, GraphRun, string]>([
    ['a missing input', { inputs: {} }, 'R001: residual needs input x; its inputs are x'],
    ['an unknown input', { inputs: { x, z: x } }, 'R002: residual has no input z; its inputs are x'],
    [
      'a wrong type',
      { inputs: { x: new Int32Array(6) } },
      'R003: input x of residual takes a Float32Array, got Int32Array; convert it',
    ],
    [
      'a wrong shape',
      { inputs: { x: { data: ramp(8), shape: [1, 2, 4] } } },
      'R004: "x" of shape [1, 2, 4] does not fit [B = 1, S = 2, 3]; give it in that shape',
    ],
    [
      'a shape that is not of the data',
      { inputs: { x: { data: ramp(5), shape: [1, 2, 3] } } },
      'R004: "x" of shape [1, 2, 3] has 5 elements, the shape takes 6; give the shape of the data',
    ],
    [
      'open dims',
      { inputs: { x: ramp(6) } },
      'R006: dim B and S does not follow from the inputs; state it (dims: { B: …, S: … }) or give inputs with their shapes',
    ],
    [
      'dims that conflict',
      { inputs: { x }, dims: { S: 3 } },
      'R005: "x" of shape [1, 2, 3] conflicts with S = 3 (from the stated dims): S must be 3, got 2; make the inputs agree',
    ],
    ['an unknown dim', { inputs: { x }, dims: { T: 3 } }, 'R007: there is no dim T; the dims are B, S'],
    ['no size', { inputs: { x }, dims: { B: 1.5 } }, 'R007: dim B is 1.5; give an integer of at least 0'],
    [
      'an unknown tensor to keep',
      { inputs: { x }, keep: ['h9'] },
      'R015: graph residual has no tensor h9 to keep; it has x, b0, out',
    ],
  ])('%s', async (_, call, message) => {
    using graph = await loadGraph(device, residualGraph(1), weightsOf(1));
    expect((await failure(graph.run(call))).message).toBe(message);
    expect((await graph.run({ inputs: { x } })).get('out')?.data).toEqual(reference(1, x.data).get('out'));
  });

  const f16: WeightTensor = { storage: 'f16', shape: [3], data: new Uint16Array(3) };
  it.each<[string, Map<string, WeightTensor>, string]>([
    ['a missing weight', weightsOf(1), 'R008: weight w1, which 1.bias takes as w, is missing; add it to the weights'],
    [
      'a wrong shape',
      new Map([...weightsOf(2), ['w1', { ...weight(1, 2, 3), shape: [1, 3] }]]),
      'R011: weight w1 has shape [1, 3] and 3 elements, 1.bias takes w as [3] (3 elements); is the checkpoint of this configuration?',
    ],
    [
      'a wrong count',
      new Map([...weightsOf(2), ['w1', { ...weight(1, 2), shape: [3] }]]),
      'R011: weight w1 has shape [3] and 2 elements, 1.bias takes w as [3] (3 elements); is the checkpoint of this configuration?',
    ],
    [
      'another storage',
      new Map([...weightsOf(2), ['w0', f16]]),
      'R010: weight w0 is f16, 0.bias takes w as f32; convert it, or compile the layer for f16 weights',
    ],
  ])('%s of a graph', async (_, weights, message) => {
    const fresh = fakeDevice(full);
    expect((await failure(loadGraph(fresh, residualGraph(2), weights))).message).toBe(message);
    expect(fresh.counts.live).toBe(0);
  });

  it('weights of a layer: missing, unexpected, wrong', async () => {
    const w = Float32Array.of(1, 2, 3);
    expect((await failure(loadLayer(device, bias, {}))).message).toMatch(/^R008: weight w, which bias takes/);
    expect((await failure(loadLayer(device, bias, { w, v: w }))).message).toBe(
      'R009: bias has no weight v; its weights are w',
    );
    expect((await failure(loadLayer(device, twice, { v: w }))).message).toBe(
      'R009: twice has no weight v; its weights are (none)',
    );
    expect((await failure(loadLayer(device, bias, { w: Float32Array.of(1) }))).message).toMatch(/^R011: weight w/);
    expect((await failure(loadLayer(device, bias, { w: Int32Array.of(1, 2, 3) }))).message).toMatch(
      /^R010: weight w is i32/,
    );
    using layer = await loadLayer(device, bias, { w: { data: w, shape: [3] } });
    expect(await layer.run({ x: Float32Array.of(1, 1, 1, 0, 0, 0) })).toEqual({
      y: { shape: [2, 3], data: Float32Array.of(2, 3, 4, 1, 2, 3) },
    });
  });

  it('halves that kernels take to be finite and that are not', async () => {
    const halves = structuredClone(bias);
    const [x, , y] = halves.manifest.bindings;
    const w = { ...halves.manifest.bindings[1], storage: 'f16' };
    const of = (finite: boolean): typeof bias =>
      ({ ...halves, manifest: { ...halves.manifest, bindings: [x, { ...w, finite }, y] } }) as typeof bias;
    const fresh = fakeDevice(full);
    const text = (data: Uint16Array) => failure(loadLayer(fresh, of(true), { w: data })).then((error) => error.message);
    expect(await text(Uint16Array.of(0xfbff, 0x7bff, 0x7c00))).toBe(
      'R031: weight w is Infinity at [2], and bias takes finite f16 only; correct the checkpoint (f16 ends at 65504), or compile ' +
        'the layer for f32 weights',
    );
    expect(await text(Uint16Array.of(0x8001, 0xffff, 0xfc00))).toMatch(/ is NaN at \[1\], /);
    expect(fresh.counts.live).toBe(0);
    (await loadLayer(fresh, of(true), { w: Uint16Array.of(0x8000, 0x03ff, 0xfbff) })).dispose();
    (await loadLayer(fresh, of(false), { w: Uint16Array.of(0x7c00, 0, 0) })).dispose();
    expect(fresh.counts.live).toBe(0);
  });

  it('and frees what was loaded when an artefact is refused', async () => {
    const fresh = fakeDevice(full);
    const picky = {
      ...fresh,
      load: async (artefact: typeof bias) => {
        if (artefact.manifest.name === 'bias') throw new Error('no bias, please');
        return fresh.load(artefact);
      },
    };
    expect((await failure(loadGraph(picky, residualGraph(3), weightsOf(3)))).message).toBe('no bias, please');
    expect(fresh.counts).toMatchObject({ loads: 1, live: 0 });
  });

  it('and frees what was loaded when memory runs out half way', async () => {
    const small = fakeDevice(full);
    small.limit = 30;
    expect(await failure(loadGraph(small, residualGraph(5), weightsOf(5)))).toMatchObject({ code: 'R020' });
    expect(small.counts.live).toBe(0);
  });

  const good = residualGraph(1);
  const [first, second] = good.steps as [CompiledGraph['steps'][number], CompiledGraph['steps'][number]];
  it.each<[string, CompiledGraph, string]>([
    ['swapped steps', { ...good, steps: [second, first] }, 'step 0.twice reads b0 before any step writes it'],
    [
      'a second writer',
      { ...good, steps: [first, second, first] },
      'step 0.bias writes b0, which step 0.bias gave already',
    ],
    ['an unwritten output', { ...good, steps: [first] }, 'no step writes output out'],
    ['an unknown tensor', { ...good, tensors: [] }, 'input x is not declared'],
    ['an unknown artefact', { ...good, steps: [{ ...first, artefact: 7 }] }, 'step 0.bias names artefact 7 of 2'],
    ['an unbound input', { ...good, steps: [{ ...first, tensors: {} }] }, 'step 0.bias binds no tensor to input x'],
    ['an unbound weight', { ...good, steps: [{ ...first, weights: {} }] }, 'step 0.bias binds no weight to w'],
    ['a missing dim', { ...good, steps: [{ ...first, dims: {} }] }, 'step 0.bias gives no value for dim T'],
    [
      'an unknown binding',
      { ...good, steps: [{ ...first, weights: { w: 'w0', v: 'w0' } }] },
      'step 0.bias binds v, which bias does not have',
    ],
  ])('a graph with %s', async (_, graph, message) => {
    expect((await failure(loadGraph(device, graph, weightsOf(1)))).message).toBe(
      `R014: graph residual: ${message}; compile the graph again, or correct its steps`,
    );
  });

  it('a graph whose element counts do not fit', async () => {
    const wide = { ...good, tensors: good.tensors.map((t) => (t.name === 'b0' ? { ...t, shape: ['B', 'S', 4] } : t)) };
    using graph = await loadGraph(device, wide, weightsOf(1));
    expect((await failure(graph.run({ inputs: { x } }))).message).toBe(
      'R014: graph residual: step 0.bias takes y as [T = 2, 3] (6 elements), tensor b0 is [1, 2, 4] (8 elements); ' +
        "correct the step's dims or the tensor's shape",
    );
  });
});
