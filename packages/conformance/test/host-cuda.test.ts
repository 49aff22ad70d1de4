/** The suite on the printed CUDA C, compiled unchanged for the host. */
import { cuda } from '@espalier/codegen';
import { openHostCuda } from '@espalier/runtime-cuda/host';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runConformance } from '../src/index.ts';
import { whereAvailable } from './support/available.ts';

const name = 'CUDA C on the host';
await whereAvailable(name, 'ESPALIER_REQUIRE_HOST_CUDA', openHostCuda, () => {
  runConformance({ describe, it, beforeAll, afterAll }, { name, open: openHostCuda, target: cuda });
});
