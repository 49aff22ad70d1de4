/** The CUDA target: C++ for NVIDIA GPUs from Ampere on, tensor cores where products may be rounded. */
import type { SizeExpr } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import type { Kernel } from '../../kernel-ir/types.ts';
import { scratchOf, spill } from '../../passes/spill.ts';
import {
  type LaneMachine,
  laneSchedule,
  laneVariants,
  spreadSchedule,
  type TileChoice,
} from '../../schedule/auto-lanes.ts';
import { toSizeExpr } from '../../size-expr.ts';
import type { Target } from '../../target.ts';
import { cudaDefaults, PRIVATE_BYTES, SHARED_BYTES, WARP, WARPS } from './capabilities.ts';
import { checkLimits, gatherThreads, nameCollectives } from './legalise.ts';
import { printModule } from './print.ts';

export { CudaRefusal } from './legalise.ts';

const machine: LaneMachine = {
  lanes: WARP,
  subgroups: WARPS,
  threads: WARPS * WARP,
  memory: SHARED_BYTES / 2,
  privateBytes: PRIVATE_BYTES,
  workgroups: 1024,
};

/** CUDA C++. Legalise and print throw CudaRefusal. */
export const cuda: Target = {
  name: 'cuda',
  extension: 'cu',
  defaults: cudaDefaults,
  variants: (unit, capabilities) => laneVariants(unit, capabilities['tensor-cores'] === true ? MATRIX_TILES : TILES),
  schedule: (unit, kernel) => {
    if (kernel.workgroup !== undefined) return [];
    return unit.kind === 'generic' ? spreadSchedule(kernel, machine) : laneSchedule(kernel, machine);
  },
  legalise: () => [
    { name: 'cuda-threads', run: gatherThreads },
    { name: 'cuda-spill', run: (kernel) => spill(kernel, PRIVATE_BYTES) },
    { name: 'cuda-collectives', run: nameCollectives },
    { name: 'cuda-limits', run: checkLimits },
  ],
  print: printModule,
  scratch: scratchBytes,
  assemble: null,
  requires: (capabilities) => [
    `sm=${capabilities['sm']}`,
    ...(capabilities['tensor-cores'] === true ? ['tensor-cores'] : []),
  ],
  numerics: (capabilities) => ({
    fma: 'all',
    'nvcc-flags': '-fmad=false',
    products: capabilities['tensor-cores'] === true ? 'tf32' : 'f32',
  }),
};

/** Products by lanes. */
const TILES: readonly TileChoice[] = [
  {
    from: 8,
    columns: 8,
    tile: { rows: 32, columns: 32, depth: 16, laneRows: 4, laneColumns: 4, subgroups: 2, lanes: WARP },
  },
  {
    from: 64,
    columns: 64,
    tile: { rows: 64, columns: 64, depth: 16, laneRows: 8, laneColumns: 4, subgroups: 4, lanes: WARP },
  },
  {
    from: 1024,
    columns: 256,
    tile: { rows: 128, columns: 128, depth: 8, laneRows: 8, laneColumns: 8, subgroups: 8, lanes: WARP },
  },
];

const units = { precision: 'tf32', rows: 16, columns: 8, depth: 8 } as const;

/** Products by tensor cores, once there are rows enough to fill their tiles. */
const MATRIX_TILES: readonly TileChoice[] = [
  {
    from: 8,
    columns: 8,
    tile: {
      ...{ rows: 32, columns: 32, depth: 16, laneRows: 4, laneColumns: 4, subgroups: 2, lanes: WARP },
      matrix: { ...units, subgroupsAcross: 1 },
    },
  },
  {
    from: 64,
    columns: 64,
    tile: {
      ...{ rows: 64, columns: 64, depth: 32, laneRows: 8, laneColumns: 4, subgroups: 4, lanes: WARP },
      matrix: { ...units, subgroupsAcross: 2 },
    },
  },
];

/** Bytes of scratch memory of a workgroup. */
function scratchBytes(kernel: Kernel): SizeExpr {
  const size = scratchOf(kernel);
  return Sizes.constantOf(size) === 0 ? 0 : toSizeExpr(size);
}
