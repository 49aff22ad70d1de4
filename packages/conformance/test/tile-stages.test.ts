/**
 * Tiles of dense products with one stretch in workgroup memory and with two, the next on its way while one is multiplied: every
 * tile of the lane targets, whatever number of rows it is meant for, at sizes with and without tails. In the simulator, which
 * watches for races and for reads of what nobody wrote, and as CUDA C for the host.
 */
import { type Capabilities, cuda, type Target, wgsl } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import type { Device } from '@espalier/runtime';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { expect, it } from 'vitest';
import { compareOutputs, randomTensors, referenceOf, runCompiled } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';

const layers = [
  ['linear', { D: 5, O: 9 }],
  ['linear', { D: 64, O: 256 }],
  ['linear', { D: 41, O: 260 }],
  ['gated_ff', { D: 48, H: 33, O: 17 }],
] as const;

/** Takes the n-th tile there is for a product, or the last. */
const only = (base: Target, n: number, stages: 1 | 2): Target => ({
  ...base,
  variants(unit, capabilities, layer) {
    const all = base.variants(unit, capabilities, layer);
    const tiles = all.flatMap(({ form }) => (form.form === 'tile' ? [form] : []));
    const tile = tiles[Math.min(n, tiles.length - 1)];
    if (tile === undefined) return all;
    // Two stages of the largest tile for matrix units are more memory than a workgroup has.
    const depth = stages === 2 && tile.matrix !== undefined ? tile.depth / 2 : tile.depth;
    return [{ name: '', from: 0, form: { ...tile, stages, depth } }];
  },
});

async function checkTiles(device: Device, target: Target, capabilities: Capabilities): Promise<void> {
  const tolerance = Object.keys(capabilities).length === 0 ? undefined : 2e-2;
  for (const [i, [name, dims]] of layers.entries()) {
    const layer = standardLayer(name, { dims });
    for (const T of [1, 70]) {
      const tensors = randomTensors(layer, { T }, 500 + i);
      const reference = referenceOf(layer, { T }, tensors, tolerance);
      for (const stages of [1, 2] as const) {
        for (const n of [0, 1, 2]) {
          const outputs = await runCompiled(device, reference, { target: only(target, n, stages), capabilities });
          expect(compareOutputs(reference, outputs), `${name}, ${T} rows, tile ${n}, ${stages} stages`).toBeNull();
        }
      }
    }
  }
}

it.each([
  ['cuda', cuda, {}],
  ['cuda, tensor cores', cuda, { 'tensor-cores': true }],
  ['wgsl', wgsl, {}],
] as const)('%s in the simulator', { timeout: 120_000 }, async (_, base, capabilities) => {
  using device = await openSimulator();
  await checkTiles(device, simulatorTarget(base), capabilities);
});

await whereAvailable('CUDA C on the host', 'ESPALIER_REQUIRE_HOST_CUDA', openHostCuda, () => {
  it.each([{}, { 'tensor-cores': true }])('CUDA C on the host, %o', { timeout: 240_000 }, async (capabilities) => {
    using device = await openHostCuda();
    await checkTiles(device, cuda, capabilities);
  });
});
