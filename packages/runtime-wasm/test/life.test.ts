/** Long lives and sudden deaths: no leak over many runs and many devices, no hang when a worker dies, processes that end by themselves. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { loadLayer } from '@espalier/runtime';
import { afterEach, expect, it, vi } from 'vitest';
import { openWasm } from '../src/index.ts';
import { failure } from './support/failure.ts';
import { gatherArtefact, scaleArtefact, trapArtefact } from './support/kernels.ts';
import { randomFloats } from './support/random.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const heapUsed = (): number => {
  for (let i = 0; i < 3; i++) collectGarbage();
  return process.memoryUsage().heapUsed;
};

afterEach(() => {
  vi.restoreAllMocks();
});

/** Opens a device and finds its worker threads by the messages they are sent. */
async function openWatched(threads: number) {
  const posts = vi.spyOn(Worker.prototype, 'postMessage');
  const device = await openWasm({ threads, minimumWork: 0 });
  const workers = [...new Set(posts.mock.contexts)] as Worker[];
  posts.mockRestore();
  expect(workers).toHaveLength(threads - 1);
  return { device, workers };
}

const endless = trapArtefact('(loop (br 0))');

it.each([1, 2])('leaks nothing over 10,000 runs on %i threads', async (threads) => {
  using device = await openWasm({ threads, minimumWork: 0 });
  using layer = await loadLayer(device, gatherArtefact(), { table: randomFloats(15, 1) });
  const x = randomFloats(40, 2);
  const ids = new Int32Array(40);
  const run = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await layer.run({ x, ids }, { outputs: 'view' });
  };
  await run(500);
  const { size, used, spans } = device.statistics;
  const heap = heapUsed();
  await run(10_000);
  expect(device.statistics).toMatchObject({ size, used, spans });
  // 10,000 runs that kept 50 bytes each would show.
  expect(heapUsed() - heap).toBeLessThan(500_000);
});

it('opens and disposes of 200 devices with two threads, each of which computes', async () => {
  let heap = 0;
  for (let i = 0; i < 200; i++) {
    const device = await openWasm({ threads: 2, minimumWork: 0 });
    const layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(i) });
    const { y } = await layer.run({ x: Float32Array.of(1, 2, 3) });
    expect(y?.data).toEqual(Float32Array.of(i + 3, 2 * i + 3, 3 * i + 3));
    layer.dispose();
    expect(device.statistics).toMatchObject({ used: 0, spans: 0 });
    device.dispose();
    await device.closed;
    if (i === 20) heap = heapUsed();
  }
  expect(heapUsed() - heap).toBeLessThan(4_000_000);
});

it('reports a worker that dies during a run, and does not hang', async () => {
  const { device, workers } = await openWatched(3);
  using layer = await loadLayer(device, endless, {});
  const x = new Float32Array(99).fill(1);
  x[98] = -1;
  const run = layer.run({ x });
  await workers[0]?.terminate();
  expect((await failure(run)).message).toMatch(
    /^R022: worker thread 1 of 3 died: .*the device is lost, dispose of it and open another$/,
  );
  expect(await failure(layer.run({ x }))).toMatchObject({ code: 'R022' });
  expect(await failure(loadLayer(device, scaleArtefact(), { scale: Float32Array.of(1) }))).toMatchObject({
    code: 'R022',
  });
  device.dispose();
  await device.closed;
});

it('reports a worker that died between runs', async () => {
  const { device, workers } = await openWatched(2);
  using layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(1) });
  await workers[0]?.terminate();
  expect(await failure(layer.run({ x: new Float32Array(5) }))).toMatchObject({ code: 'R022' });
  device.dispose();
});

it('ends a run when the device is disposed of', async () => {
  const device = await openWasm({ threads: 2, minimumWork: 0 });
  const layer = await loadLayer(device, endless, {});
  const x = new Float32Array(10).fill(1);
  x[9] = -1;
  const run = layer.run({ x });
  expect(await failure(layer.run({ x }))).toMatchObject({ code: 'R013' });
  layer.dispose();
  device.dispose();
  expect(await failure(run)).toMatchObject({ code: 'R012' });
  await device.closed;
});

it.each([
  ['disposed', 'device.dispose();'],
  ['left open', ''],
])('lets a process end by itself, device %s', async (_, end) => {
  const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const script = `
    import { openWasm } from ${here('../src/index.ts')};
    import { loadLayer } from ${here('../../runtime/src/index.ts')};
    import { scaleArtefact } from ${here('./support/kernels.ts')};
    const device = await openWasm({ threads: 3, minimumWork: 0 });
    const layer = await loadLayer(device, scaleArtefact(), { scale: Float32Array.of(2) });
    const { y } = await layer.run({ x: Float32Array.of(1, 2, 3) });
    process.stdout.write(y.data.join(' '));
    ${end}`;
  const run = promisify(execFile)(
    process.execPath,
    ['--conditions=espalier-source', '--input-type=module', '--eval', script],
    { timeout: 60_000, cwd: fileURLToPath(new URL('..', import.meta.url)) },
  );
  expect(await run).toEqual({ stdout: '5 7 9', stderr: '' });
});
