/** The suite in the simulator: the Kernel IR of both lane targets, every access and every pair of lanes watched. */
import { cuda, wgsl } from '@espalier/codegen';
import { openSimulator, simulatorTarget } from '@espalier/runtime-simulator';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runConformance } from '../src/index.ts';

for (const base of [wgsl, cuda]) {
  runConformance(
    { describe, it, beforeAll, afterAll },
    { name: `simulator of ${base.name}`, open: () => openSimulator(), target: simulatorTarget(base) },
  );
}
