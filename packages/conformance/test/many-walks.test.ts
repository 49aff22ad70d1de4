/** Trees and numbers of rows of every form that walks have: against the interpreter, routes before values; and a row in any company. */
import { compile, wasm } from '@espalier/codegen';
import { type LayerIR, standardLayer } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { wasmCapabilities, wasmVariants } from '@espalier/runtime-wasm';
import { describe, expect, it } from 'vitest';
import { compareLayer, randomTensors } from '../src/index.ts';

const deep = standardLayer('fff', { dims: { D: 5, O: 6, trees: 1, depth: 9 } });
const shallow = standardLayer('fff', { dims: { D: 7, O: 5, trees: 1, depth: 4 } });
const seed = Math.floor(Math.random() * 2 ** 31);

/** The same layer with its rows stored as f16. */
const halves = (layer: LayerIR): LayerIR => ({
  ...layer,
  tensors: layer.tensors.map((t) => (t.name === 'w1' || t.name === 'w2' ? { ...t, storage: 'f16' } : t)),
});
/** Wide enough that sums are split among all the accumulators they ever get. */
const wide = standardLayer('fff', { dims: { D: 133, O: 66, trees: 1, depth: 9 } });
const forest = standardLayer('fff', { dims: { D: 133, O: 66, trees: 2, depth: 5 } });

describe.each(wasmVariants())('$name', ({ open }) => {
  // One row, few, a block and more, sorted by the hundred, sorted by the thousand.
  it.each([1, 2, 3, 63, 65, 383, 384, 1000, 2048, 4096 + 37, 16384 + 3])(`%i rows (seed ${seed})`, async (T) => {
    using device = await open();
    const options = { target: wasm, capabilities: wasmCapabilities(device.info) };
    for (const layer of [deep, ...(T < 1000 ? [shallow, halves(deep)] : [])])
      expect(await compareLayer(device, layer, { T }, randomTensors(layer, { T }, seed), options)).toBe(null);
  });

  it.each([
    ['one tree', wide],
    ['one tree of f16', halves(wide)],
    ['two trees', forest],
  ])('gives a row the same bits in any company, %s', async (_, layer) => {
    using device = await open();
    const T = 2051;
    const tensors = randomTensors(layer, { T }, seed) as Record<string, Float32Array>;
    const { x, ...weights } = tensors;
    const artefact = await compile(layer, { target: wasm, capabilities: wasmCapabilities(device.info) });
    using loaded = await loadLayer(device, artefact, weights);
    const of = async (from: number, to: number): Promise<Float32Array> =>
      Float32Array.from(
        (await loaded.run({ x: (x as Float32Array).slice(133 * from, 133 * to) }))['y']?.data as Float32Array,
      );
    const sorted = await of(0, T);
    const ends = [0, 1000, 1384, 1391, 1400, 1600, 2049, 2050, T];
    for (const [i, to] of ends.slice(1).entries()) {
      const from = ends[i] as number;
      expect(await of(from, to), `rows ${from} to ${to}`).toEqual(sorted.slice(66 * from, 66 * to));
    }
  });
});
