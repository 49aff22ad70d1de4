/**
 * Weights kept in half precision, on a driver that reads it (`shader-f16`) and with the code for those that don't. Chromium's
 * software GPU has none; Mesa's llvmpipe does, where CI has put it among the drivers.
 */
import { wgsl } from '@espalier/codegen';
import { type LayerIR, standardLayer } from '@espalier/ir';
import type { WebGpuDevice } from '@espalier/runtime-webgpu';
import { openDawn } from '@espalier/runtime-webgpu/node';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { checkLayer, randomTensors, standardCases } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';

/** The default adapter, or llvmpipe. Rejects where neither has f16. */
async function openWithHalf(): Promise<WebGpuDevice> {
  const said: string[] = [];
  for (const options of [{}, { adapter: 'llvmpipe' }]) {
    const device = await openDawn(options).catch((error: unknown) => {
      said.push(String(error).split('\n')[0] as string);
      return null;
    });
    if (device?.info.capabilities['f16'] === true) return device;
    if (device !== null) said.push(`${device.info.name} has no shader-f16`);
    await device?.[Symbol.asyncDispose]();
  }
  throw new Error(said.join('; '));
}

/** The layer with its f32 weights kept as f16. */
function halved(name: string, dims: Readonly<Record<string, number>>): LayerIR {
  const weights = standardLayer(name, { dims }).tensors.filter((t) => t.role === 'weight' && t.storage === 'f32');
  return standardLayer(name, { dims, storage: Object.fromEntries(weights.map((t) => [t.name, 'f16' as const])) });
}

await whereAvailable('webgpu with f16', 'ESPALIER_REQUIRE_F16', openWithHalf, () => {
  describe('half precision on webgpu', () => {
    let device: WebGpuDevice;
    beforeAll(async () => {
      device = await openWithHalf();
    });
    afterAll(() => device?.[Symbol.asyncDispose]());

    // One size a layer: this driver takes long to compile, and the sizes are tried where f32 is.
    const first = new Map([...standardCases()].reverse().map((c) => [c.layer, c]));
    for (const c of first.values()) {
      it(`${c.layer} ${JSON.stringify(c.dims)}`, async () => {
        const layer = halved(c.layer, c.dims);
        const run = c.runs[0] ?? {};
        const tensors = randomTensors(layer, run, 7, c.integers(run));
        for (const f16 of [true, false])
          await checkLayer(device, { target: wgsl, capabilities: { f16 }, slack: 4 }, layer, run, tensors);
      });
    }
  });
});
