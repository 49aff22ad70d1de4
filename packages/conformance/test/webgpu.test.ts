/** The suite on WebGPU in Node, through Dawn, with and without subgroups. */
import { wgsl } from '@espalier/codegen';
import { openDawn } from '@espalier/runtime-webgpu/node';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runConformance } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';

/** WGSL's division is good to 2.5 units in the last place, its square root to less than that; a CPU's are exact. */
const slack = 4;
const runner = { describe, it, beforeAll, afterAll };

for (const [name, capabilities] of [
  ['webgpu', {}],
  ['webgpu with subgroups', { subgroups: true }],
] as const) {
  await whereAvailable(name, 'ESPALIER_REQUIRE_WEBGPU', openDawn, () => {
    runConformance(runner, { name, open: openDawn, target: wgsl, capabilities, slack });
  });
}
