/** A tree deep enough, and rows enough, that they are sorted on the way: against the interpreter, routes before values. */
import { compile, wasm } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { wasmCapabilities, wasmVariants } from '@espalier/runtime-wasm';
import { describe, expect, it } from 'vitest';
import { compareLayer, randomTensors } from '../src/index.ts';

const layer = standardLayer('fff', { dims: { D: 5, O: 6, trees: 1, depth: 9 } });
const seed = Math.floor(Math.random() * 2 ** 31);

describe.each(wasmVariants())('$name', ({ open }) => {
  it.each([2047, 2048, 8192 + 37])(`%i rows (seed ${seed})`, async (T) => {
    using device = await open();
    const options = { target: wasm, capabilities: wasmCapabilities(device.info) };
    expect(await compareLayer(device, layer, { T }, randomTensors(layer, { T }, seed), options)).toBe(null);
  });
});

it('gives a row the same bits in any company', async () => {
  const [{ open }] = wasmVariants() as [ReturnType<typeof wasmVariants>[number]];
  using device = await open();
  const T = 2051;
  const tensors = randomTensors(layer, { T }, seed) as Record<string, Float32Array>;
  const { x, ...weights } = tensors;
  using loaded = await loadLayer(device, await compile(layer, { target: wasm }), weights);
  const of = async (from: number, to: number): Promise<Float32Array> =>
    Float32Array.from(
      (await loaded.run({ x: (x as Float32Array).slice(5 * from, 5 * to) }))['y']?.data as Float32Array,
    );
  const sorted = await of(0, T);
  const parts = [await of(0, 1000), await of(1000, 2049), await of(2049, 2050), await of(2050, T)];
  expect(parts.flatMap((part) => [...part])).toEqual([...sorted]);
});
