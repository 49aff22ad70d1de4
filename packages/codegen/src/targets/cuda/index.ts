/** The CUDA target: C++ for NVIDIA GPUs from Ampere on, tensor cores where products may be rounded. */
import type { SizeExpr } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import type { Kernel } from '../../kernel-ir/types.ts';
import { limitDepth } from '../../passes/limit-depth.ts';
import { scratchOf, spill } from '../../passes/spill.ts';
import { type LaneMachine, laneSchedule, runSteps, spreadSchedule } from '../../schedule/auto-lanes.ts';
import { laneVariants } from '../../schedule/lane-variants.ts';
import { toSizeExpr } from '../../size-expr.ts';
import type { Target } from '../../target.ts';
import { cudaDefaults, PRIVATE_BYTES, productsOf, RUN, SHARED_BYTES, WARP, WARPS } from './capabilities.ts';
import { checkLimits, gatherThreads, nameCollectives } from './legalise.ts';
import { printModule } from './print.ts';
import { countRounds } from './rounds.ts';
import { SHARING, SORTING, SUBTREES, tilesFor, WALKS } from './tiles.ts';

export { CudaRefusal } from './legalise.ts';

const machine: LaneMachine = {
  lanes: WARP,
  subgroups: WARPS,
  threads: WARPS * WARP,
  memory: SHARED_BYTES / 2,
  privateBytes: PRIVATE_BYTES,
  workgroups: 1024,
  run: RUN,
};

/** CUDA C++. Legalise and print throw CudaRefusal. */
export const cuda: Target = {
  name: 'cuda',
  extension: 'cu',
  defaults: cudaDefaults,
  variants: (unit, capabilities, layer) =>
    laneVariants(unit, layer, {
      memory: SHARED_BYTES,
      ...{ tiles: tilesFor(productsOf(capabilities)), subtrees: SUBTREES, sorting: SORTING },
      ...{ walks: WALKS, sharing: SHARING },
    }),
  schedule: (unit, kernel, _, form) => {
    // Written for workgroups already; what its lanes go over may still be dealt out in runs.
    if (kernel.workgroup !== undefined) return runSteps(kernel, machine);
    return unit.kind === 'generic' ? spreadSchedule(kernel, machine) : laneSchedule(kernel, machine, form);
  },
  legalise: () => [
    { name: 'cuda-threads', run: gatherThreads },
    { name: 'cuda-spill', run: (kernel) => spill(kernel, PRIVATE_BYTES) },
    { name: 'cuda-rounds', run: countRounds },
    { name: 'cuda-collectives', run: nameCollectives },
    { name: 'cuda-depth', run: limitDepth },
    { name: 'cuda-limits', run: checkLimits },
  ],
  print: printModule,
  scratch: scratchBytes,
  assemble: null,
  requires: (capabilities) => [
    `sm=${capabilities['sm']}`,
    ...(productsOf(capabilities) === 'f32' ? [] : ['tensor-cores']),
  ],
  numerics: (capabilities) => ({
    fma: 'all',
    'nvcc-flags': '-fmad=false',
    products: productsOf(capabilities),
  }),
};

/** Bytes of scratch memory of a workgroup. */
function scratchBytes(kernel: Kernel): SizeExpr {
  const size = scratchOf(kernel);
  return Sizes.constantOf(size) === 0 ? 0 : toSizeExpr(size);
}
