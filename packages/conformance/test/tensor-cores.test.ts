/**
 * Dense layers whose products are rounded on their way into matrix units: as far from the interpreter as their precision allows,
 * and not nearer, so that it was used. In the simulator and as CUDA C for the host, which has functions for the instructions.
 */
import { cuda, type Target } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import type { Device } from '@espalier/runtime';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { expect, it } from 'vitest';
import { randomTensors, referenceOf, runCompiled, spread } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';

/** Capability, and the bits of fraction that operands keep. */
const precisions = [
  ['tensor-cores', 10],
  ['tensor-bf16', 7],
  ['tensor-f16', 10],
] as const;

const layers = [
  ['linear', { D: 40, O: 19 }],
  ['linear', { D: 64, O: 72 }],
  ['gated_ff', { D: 24, H: 33, O: 17 }],
] as const;

async function checkProducts(
  device: Device,
  target: Target,
  [capability, bits]: readonly [string, number],
): Promise<void> {
  for (const [name, dims] of layers) {
    const layer = standardLayer(name, { dims });
    for (const T of [9, 67]) {
      const tensors = randomTensors(layer, { T }, 21);
      const reference = referenceOf(layer, { T }, tensors);
      const outputs = await runCompiled(device, reference, { target, capabilities: { [capability]: true } });
      const { apart, largest } = spread(reference.expected['y'] ?? [], outputs['y']?.data ?? []);
      const step = 2 ** -(bits + 1);
      // Every product is off by up to two half steps; random ones cancel. Two layers follow each other in a gated one.
      expect(apart / largest, `${name} ${T}`).toBeLessThan(4 * step);
      expect(apart / largest, `${name} ${T}`).toBeGreaterThan(step / 8);
    }
  }
}

it.each(precisions)('in the simulator, %s', { timeout: 60_000 }, async (...precision) => {
  using device = await openSimulator();
  await checkProducts(device, simulatorTarget(cuda), precision);
});

await whereAvailable('CUDA C on the host', 'ESPALIER_REQUIRE_HOST_CUDA', openHostCuda, () => {
  it.each(precisions)('CUDA C on the host, %s', { timeout: 60_000 }, async (...precision) => {
    using device = await openHostCuda();
    await checkProducts(device, cuda, precision);
  });
});
