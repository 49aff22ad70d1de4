/** The same bits whatever the batch, whatever the number of threads, run after run. */
import { compile, wasm } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { openWasm } from '@espalier/runtime-wasm';
import { describe, expect, it } from 'vitest';
import { randomTensors } from '../src/index.ts';

const layers = [
  standardLayer('linear', { dims: { D: 300, O: 37 } }),
  standardLayer('ff', { dims: { D: 29, H: 70, O: 33 } }),
  standardLayer('fff', { dims: { D: 45, O: 45, trees: 2, depth: 4 } }),
  standardLayer('leaf_fff', { dims: { D: 21, W: 6, O: 19, depth: 3 } }),
  standardLayer('layer_norm', { dims: { D: 43 } }),
];
const tokens = 55;

describe.each(layers.map((layer) => ({ name: layer.name, layer })))('$name', ({ layer }) => {
  const tensors = randomTensors(layer, { T: tokens }, 77);
  const { x, ...weights } = tensors as Record<string, Float32Array>;
  const width = (x as Float32Array).length / tokens;

  const outputs = async (relaxedSimd: boolean, threads: number, chunk: number): Promise<Float32Array> => {
    using device = await openWasm({ threads, minimumWork: 0 });
    const artefact = await compile(layer, { target: wasm, capabilities: { 'relaxed-simd': relaxedSimd } });
    using loaded = await loadLayer(device, artefact, weights);
    const parts: number[] = [];
    for (let t = 0; t < tokens; t += chunk) {
      const part = (x as Float32Array).slice(t * width, Math.min(tokens, t + chunk) * width);
      parts.push(...((await loaded.run({ x: part }))['y']?.data ?? []));
    }
    return Float32Array.from(parts);
  };

  it.each([true, false])(
    'with relaxed SIMD %s: a token alone, in sevens, in the whole batch, twice',
    async (relaxed) => {
      const whole = await outputs(relaxed, 1, tokens);
      expect(whole.some((v) => v !== 0)).toBe(true);
      for (const chunk of [1, 7, tokens]) expect(await outputs(relaxed, 1, chunk)).toEqual(whole);
    },
  );

  it('on two threads', async () => {
    expect(await outputs(true, 2, tokens)).toEqual(await outputs(true, 1, tokens));
  });
});
