/** Threads that sleep are woken for what is worth it, and not for less; the results are the same. */
import { loadLayer } from '@espalier/runtime';
import { afterEach, expect, it, vi } from 'vitest';
import { openWasm } from '../src/index.ts';
import { scaleArtefact } from './support/kernels.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

const x = Float32Array.of(1, 2, 3);
const expected = { y: { shape: [3], data: Float32Array.of(5, 7, 9) } };

/** A layer whose launch counts as `flops` operations, on a device whose worker has had time to fall asleep. */
async function asleep(flops: number, minimumWork?: number) {
  const device = await openWasm({ threads: 2, ...(minimumWork === undefined ? {} : { minimumWork }) });
  const layer = await loadLayer(device, scaleArtefact('scale', flops), { scale: Float32Array.of(2) });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const notify = vi.spyOn(Atomics, 'notify');
  const end = async (): Promise<void> => {
    layer.dispose();
    device.dispose();
    await device.closed;
  };
  return { layer, notify, end };
}

it('does not wake them for little', async () => {
  const { layer, notify, end } = await asleep(200_000);
  // However long the runs take, by this clock they take no time.
  vi.spyOn(performance, 'now').mockReturnValue(0);
  // A busy machine may need a while to let the worker fall asleep; until then it is told of the run.
  for (let i = 0; i < 200; i++) {
    notify.mockClear();
    expect(await layer.run({ x })).toEqual(expected);
    if (notify.mock.calls.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(notify).not.toHaveBeenCalled();
  await end();
});

it('wakes them for a row of little ones, and goes on with them', async () => {
  const { layer, notify, end } = await asleep(200_000);
  let clock = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => {
    clock += 0.05;
    return clock;
  });
  for (let i = 0; i < 4; i++) expect(await layer.run({ x })).toEqual(expected);
  expect(notify).toHaveBeenCalled();
  for (let i = 0; i < 100; i++) expect(await layer.run({ x })).toEqual(expected);
  await end();
});

it.each([
  ['much', 20_000_000, undefined],
  ['anything, when told', 1, 0],
])('wakes them for %s', async (_, flops, minimumWork) => {
  const { layer, notify, end } = await asleep(flops, minimumWork);
  expect(await layer.run({ x })).toEqual(expected);
  expect(notify).toHaveBeenCalled();
  await end();
});
