/** Tunings that are shipped: each for one machine and mode, of shapes that there are, and right. */
import { tuned, wasm } from '@espalier/codegen';
import { compareLayer, randomTensors } from '@espalier/conformance';
import { standardLayer } from '@espalier/ir';
import { openWasm } from '@espalier/runtime-wasm';
import { expect, it } from 'vitest';
import { shippedTuning, shippedTunings } from '../src/tune/shipped.ts';
import { isGain } from '../src/tune/tune.ts';

const all = [...shippedTunings()];

it('are there, one for each machine and mode', () => {
  expect(all.length).toBeGreaterThan(0);
  for (const [, tuning] of all)
    expect(shippedTuning(tuning.machine, tuning.capabilities['simd-256'] === true)).toEqual(tuning);
  const keys = all.map(
    ([
      ,
      {
        machine: { date: _, ...key },
        capabilities,
      },
    ]) => JSON.stringify([key, capabilities]),
  );
  expect(new Set(keys).size).toBe(all.length);
});

it('are none for a machine that nobody has measured', () => {
  expect(shippedTuning({ cpu: 'Abacus 3000', engine: 'V8 13.6' }, false)).toBe(null);
});

it.each(all)('%s: choices are more than noise, and kernels of them right', async (_, tuning) => {
  for (const { form, gain } of tuning.choices) expect(form !== null).toBe(isGain(gain));
  using device = await openWasm();
  // Narrow layers of the tuned shapes' kinds compile as ever; what is tuned is compiled at its own size.
  const layers = [
    standardLayer('ff', { dims: { D: 768, H: 3072, O: 768 } }),
    standardLayer('fff', { dims: { D: 768, O: 768, trees: 1, depth: 11 } }),
  ];
  for (const layer of layers)
    expect(
      await compareLayer(device, layer, { T: 9 }, randomTensors(layer, { T: 9 }, 3), {
        target: tuned(wasm, tuning),
        capabilities: tuning.capabilities,
      }),
    ).toBe(null);
});
