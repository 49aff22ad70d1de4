/** Long lives and sudden deaths: nothing leaks over many runs, a lost device is reported and replaced, processes end by themselves. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { loadLayer } from '@espalier/runtime';
import { describe, expect, it } from 'vitest';
import { openWebGpu, type WebGpuDevice, type WebGpuLoss, withRecovery } from '../src/index.ts';
import { missing, open, titled } from './support/device.ts';
import { failure } from './support/failure.ts';
import { chainArtefact, gatherArtefact, scaleArtefact, slowArtefact } from './support/kernels.ts';
import { randomFloats } from './support/random.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const heapUsed = (): number => {
  for (let i = 0; i < 3; i++) collectGarbage();
  return process.memoryUsage().heapUsed;
};

describe.skipIf(missing !== '')(titled('the life of a device'), () => {
  it('leaks nothing over thousands of runs', async () => {
    await using device = await open();
    using layer = await loadLayer(device, gatherArtefact(), { table: randomFloats(15, 1) });
    const ids = new Int32Array(40);
    const run = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) await layer.run({ ids });
    };
    await run(500);
    const { buffers, bindGroups, pipelines } = device.counters;
    const heap = heapUsed();
    await run(3000);
    expect(device.counters).toMatchObject({ buffers, bindGroups, pipelines });
    // 3,000 runs that kept 300 bytes each would show.
    expect(heapUsed() - heap).toBeLessThan(900_000);
  });

  it('opens and disposes of many devices, each of which computes', async () => {
    for (let i = 0; i < 30; i++) {
      await using device = await open();
      using layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(i) });
      const { y } = await layer.run({ x: Float32Array.of(1, 2, 3) });
      expect(y?.data).toEqual(Float32Array.of(i, 2 * i + 1, 3 * i + 2));
    }
  });

  it('ends a run well that is under way when the device is disposed of', async () => {
    const device = await open();
    const layer = await loadLayer(device, slowArtefact(), {});
    const { submissions } = device.counters;
    const run = layer.run({ x: new Float32Array(64) });
    // Under way is what has been submitted; how long that takes is the machine's to say.
    while (device.counters.submissions === submissions) await new Promise((resolve) => setTimeout(resolve, 1));
    layer.dispose();
    device.dispose();
    expect((await run)['y']?.data).toHaveLength(64);
    await device.closed;
    expect(await failure(device.load(scaleArtefact()))).toMatchObject({ code: 'R012' });
  });

  it('reports a lost device to the run under way and to all that follow', async () => {
    const losses: WebGpuLoss[] = [];
    await using host = await open();
    const device = await openWebGpu({ device: host.gpuDevice, onLost: (loss) => losses.push(loss) });
    const layer = await loadLayer(device, slowArtefact(), {});
    const x = new Float32Array(640);
    await layer.run({ x });
    const run = layer.run({ x });
    const buffer = device.createBuffer(8, 'eight');
    const read = buffer.read();
    host.gpuDevice.destroy();
    const error = await failure(run);
    expect(error).toMatchObject({ code: 'R022' });
    expect(error.message).toMatch(/^R022: the GPU device is lost \(destroyed\).*withRecovery does$/);
    expect(await failure(read)).toMatchObject({ code: 'R022' });
    expect(await failure(layer.run({ x }))).toMatchObject({ code: 'R022' });
    expect(await failure(loadLayer(device, scaleArtefact(), { scale: x }))).toMatchObject({ name: 'RuntimeError' });
    expect(() => device.createBuffer(4, 'late')).toThrow(/^R022/);
    expect(device.loss).toMatchObject({ reason: 'destroyed' });
    expect(losses).toHaveLength(1);
    layer.dispose();
    device.dispose();
    await device.closed;
  });

  it('says nothing of a loss that it made itself', async () => {
    const losses: WebGpuLoss[] = [];
    const device = await open({ onLost: (loss) => losses.push(loss) });
    await device[Symbol.asyncDispose]();
    await device.gpuDevice.lost;
    expect(losses).toEqual([]);
    expect(device.loss).toBeUndefined();
  });

  it('recovers: opens another device, loads again and runs again', async () => {
    const opened: WebGpuDevice[] = [];
    const openNext = async (): Promise<WebGpuDevice> => {
      const device = await open();
      opened.push(device);
      return device;
    };
    const recovering = await withRecovery(openNext, (device) => loadLayer(device, chainArtefact(), {}));
    const x = randomFloats(100, 1);
    const expected = { data: x.map((v) => 2 * v + v), shape: [100] };
    const run = () => recovering.use((layer) => layer.run({ x }));
    expect(await run()).toMatchObject({ y: expected });
    for (let i = 1; i <= 2; i++) {
      opened.at(-1)?.gpuDevice.destroy();
      const results = await Promise.all([recovering.use(async (layer) => layer.manifest.name), run()]);
      expect(results).toMatchObject(['chain', { y: expected }]);
      expect(recovering).toMatchObject({ recoveries: i, device: opened[i] });
      expect(opened).toHaveLength(i + 1);
    }
    expect((await failure(recovering.use(async () => Promise.reject(new Error('its own'))))).message).toBe('its own');
    recovering.dispose();
    recovering[Symbol.dispose]();
    expect(await failure(run())).toMatchObject({ code: 'R012' });
    await Promise.all(opened.map(({ closed }) => closed));
  });

  it('tries again when a recovery has failed, and has callers wait for the one under way', async () => {
    let adapterIsHere = true;
    const opened: WebGpuDevice[] = [];
    const openNext = async (): Promise<WebGpuDevice> => {
      if (!adapterIsHere) throw new Error('the driver restarts');
      opened.push(await open());
      return opened.at(-1) as WebGpuDevice;
    };
    const recovering = await withRecovery(openNext, (device) => loadLayer(device, chainArtefact(), {}));
    const run = () => recovering.use((layer) => layer.run({ x: Float32Array.of(1) }));
    opened[0]?.gpuDevice.destroy();
    adapterIsHere = false;
    expect((await failure(run())).message).toBe('the driver restarts');
    adapterIsHere = true;
    expect((await run())['y']?.data).toEqual(Float32Array.of(3));
    expect(recovering.recoveries).toBe(1);

    // One call is in its body, and goes on with what another one's recovery disposes of; a third begins meanwhile.
    let goOn = (): void => {};
    const inside = recovering.use(async (layer) => {
      if (recovering.recoveries === 1)
        await new Promise<void>((resolve) => {
          goOn = resolve;
        });
      return layer.run({ x: Float32Array.of(2) });
    });
    opened.at(-1)?.gpuDevice.destroy();
    const first = run();
    while (opened.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(await recovering.use(async (layer) => layer.manifest.name)).toBe('chain');
    expect((await first)['y']?.data).toEqual(Float32Array.of(3));
    goOn();
    expect((await inside)['y']?.data).toEqual(Float32Array.of(6));
    expect(recovering.recoveries).toBe(2);
    recovering.dispose();
    await Promise.all(opened.map(({ closed }) => closed));
  });

  it('gives up after as many attempts as it was allowed', async () => {
    let opened = 0;
    const openNext = async (): Promise<WebGpuDevice> => {
      opened++;
      return open();
    };
    const recovering = await withRecovery(openNext, (device) => loadLayer(device, chainArtefact(), {}), {
      attempts: 2,
    });
    const run = recovering.use(async (layer) => {
      recovering.device.gpuDevice.destroy();
      return layer.run({ x: Float32Array.of(1) });
    });
    expect(await failure(run)).toMatchObject({ code: 'R022' });
    expect(opened).toBe(3);
    recovering.dispose();
  });

  it.each([
    ['disposed of', 'device.dispose();'],
    ['disposed of and awaited', 'await device[Symbol.asyncDispose]();'],
    ['left open', ''],
  ])('lets a process end by itself, device %s', async (_, end) => {
    const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const script = `
      import { openDawn } from ${here('../src/node.ts')};
      import { loadLayer } from ${here('../../runtime/src/index.ts')};
      import { scaleArtefact } from ${here('./support/kernels.ts')};
      const device = await openDawn();
      const layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
      const { y } = await layer.run({ x: Float32Array.of(1, 2, 3) });
      process.stdout.write(y.data.join(' '));
      ${end}`;
    const run = promisify(execFile)(
      process.execPath,
      ['--conditions=espalier-source', '--input-type=module', '--eval', script],
      { timeout: 60_000, cwd: fileURLToPath(new URL('..', import.meta.url)) },
    );
    expect((await run).stdout).toBe('2 5 8');
  });
});
