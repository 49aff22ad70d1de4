/**
 * A GPU that refuses to make a buffer: who waits for it hears of it once, in words that fit, and nobody else does. And reads
 * that together take more than one buffer may hold.
 */
import { compile, wgsl } from '@espalier/codegen';
import { layerFromText } from '@espalier/ir';
import { type InputTensor, loadLayer } from '@espalier/runtime';
import { describe, expect, it } from 'vitest';
import { openWebGpu, type WebGpuDevice } from '../src/index.ts';
import { missing, open, titled } from './support/device.ts';
import { failure } from './support/failure.ts';
import { chainArtefact, scaleArtefact } from './support/kernels.ts';
import { randomFloats } from './support/random.ts';

interface Refusing {
  readonly device: WebGpuDevice;
  /** Buffers whose labels begin so are refused. */
  refused: string | undefined;
  /** Bytes of the buffers made so far. */
  readonly sizes: number[];
  /** What no error scope held. */
  readonly uncaptured: string[];
}

/** A device that is the caller's, with `limits` in place of some of its own. `host` must outlive it. */
async function openRefusing(host: WebGpuDevice, limits: Readonly<Record<string, number>> = {}): Promise<Refusing> {
  const gpu = host.gpuDevice;
  const all: Record<string, number> = {};
  for (const name in gpu.limits) all[name] = (gpu.limits as unknown as Record<string, number>)[name] ?? 0;
  Object.defineProperty(gpu, 'limits', { value: { ...all, ...limits } });
  const create = gpu.createBuffer.bind(gpu);
  const sizes: number[] = [];
  const uncaptured: string[] = [];
  gpu.addEventListener('uncapturederror', ({ error }) => uncaptured.push(error.message));
  const refusing: Refusing = {
    device: await openWebGpu({ device: gpu }),
    refused: undefined,
    sizes,
    uncaptured,
  };
  gpu.createBuffer = (descriptor) => {
    const isRefused = refusing.refused !== undefined && descriptor.label?.startsWith(refusing.refused) === true;
    sizes.push(descriptor.size);
    return create(isRefused ? { ...descriptor, size: 2 ** 50 } : descriptor);
  };
  return refusing;
}

const chainOf = (x: Float32Array): InputTensor => x.map((v) => 2 * v + v);

describe.skipIf(missing !== '')(titled('a GPU that refuses'), () => {
  it('memory to read by: the run says so, the next one is well, and so is the end', async () => {
    await using host = await open();
    const refusing = await openRefusing(host);
    const { device } = refusing;
    const layer = await loadLayer(device, chainArtefact(), {});
    refusing.refused = 'staging';
    const x = randomFloats(100, 1);
    expect((await failure(layer.run({ x }))).message).toMatch(
      /^R027: the GPU refuses a staging buffer of 4096 bytes: /,
    );
    const buffer = device.createBuffer(8, 'eight');
    expect((await failure(buffer.read())).message).toMatch(/^R027: the GPU refuses a staging buffer/);
    refusing.refused = undefined;
    expect((await layer.run({ x }))['y']?.data).toEqual(chainOf(x));
    layer.dispose();
    expect(() => device.dispose()).not.toThrow();
    await device.closed;
    expect(refusing.uncaptured).toEqual([]);
  });

  it("a layer's weight: its run says so, and no run of another layer", async () => {
    await using host = await open();
    const refusing = await openRefusing(host);
    const { device } = refusing;
    const chain = await loadLayer(device, chainArtefact(), {});
    refusing.refused = 'weight scale';
    const scale = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
    const x = randomFloats(100, 2);
    const [refusal, outputs] = await Promise.all([failure(scale.run({ x })), chain.run({ x })]);
    expect(refusal.message).toMatch(/^R027: the GPU refuses buffer weight scale of 4 bytes: /);
    expect(outputs['y']?.data).toEqual(chainOf(x));
    expect((await chain.run({ x }))['y']?.data).toEqual(chainOf(x));
    expect((await failure(scale.run({ x }))).message).toBe(refusal.message);
    scale.dispose();
    chain.dispose();
    expect(() => device.dispose()).not.toThrow();
    expect(refusing.uncaptured).toEqual([]);
  });
});

it.skipIf(missing !== '')(titled('says which weights are too large to be read from one buffer'), async () => {
  await using host = await open();
  const names = Array.from({ length: 8 }, (_, i) => `w${i}`);
  const layer = layerFromText(
    `layer scales(T) {
      input x[T, 100]
      weight ${names.map((name) => `${name}[100]`).join(', ')}
      output y[t, i] = ${names.map((name) => `x[t, i] * ${name}[i]`).join(' + ')}
    }`,
    {},
  );
  const artefact = await compile(layer, { target: wgsl });
  const weights = Object.fromEntries(names.map((name, i) => [name, new Float32Array(100).fill(i)]));
  const x = randomFloats(100, 3);
  const { device } = await openRefusing(host, { maxStorageBufferBindingSize: 1000 });
  using loaded = await loadLayer(device, artefact, weights);
  expect((await failure(loaded.run({ x }))).message).toMatch(
    /^R025: scales: w0, w1, w2, which kernel k0 reads from one buffer, takes 1\.2 KiB \(1200 bytes\), this device allows 1000 bytes/,
  );
});

it.skipIf(missing !== '')(titled('reads what no single buffer holds in several'), async () => {
  await using host = await open();
  const { device, sizes, uncaptured } = await openRefusing(host, { maxBufferSize: 4096 });
  using layer = await loadLayer(device, chainArtefact(), {});
  for (const length of [600, 1024, 3]) {
    const x = randomFloats(length, length);
    const before = device.counters.readbacks;
    const { y, z } = await layer.run({ x });
    expect(y?.data).toEqual(chainOf(x));
    expect(z?.data).toEqual(x.map((v) => Math.fround(2 * v + v) - 2 * v));
    expect(device.counters.readbacks - before).toBe(length === 3 ? 1 : 2);
  }
  const bytes = Uint8Array.from({ length: 4096 }, (_, i) => i % 251);
  const buffer = device.createBuffer(4096, 'bytes');
  buffer.write(bytes);
  const parts = await Promise.all([buffer.read(), buffer.read(1, 4095), buffer.read(4090, 3), buffer.read(8, 0)]);
  expect(parts).toEqual([bytes, bytes.slice(1), bytes.slice(4090, 4093), new Uint8Array()]);
  expect(Math.max(...sizes)).toBe(4096);
  expect(uncaptured).toEqual([]);
});
