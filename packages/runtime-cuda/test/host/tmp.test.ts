import { afterAll, beforeAll, describe, it } from 'vitest';
import { cuda } from '../../../codegen/src/targets/cuda/index.ts';
import { runConformance } from '../../../conformance/src/index.ts';
import { openHostCuda } from '../../src/host/index.ts';

runConformance(
  { describe, it, beforeAll, afterAll },
  {
    name: `cuda host tc`,
    open: () => openHostCuda(),
    target: cuda,
    capabilities: { 'tensor-cores': true },
    slack: 3000,
  },
);
