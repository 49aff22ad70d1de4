/** The WebGPU target: WGSL for browsers and Node, subgroups and f16 where the device has them. */
import type { SizeExpr } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import type { Kernel } from '../../kernel-ir/types.ts';
import { hoist } from '../../passes/hoist.ts';
import { limitDepth } from '../../passes/limit-depth.ts';
import { share } from '../../passes/share.ts';
import { scratchOf, spill } from '../../passes/spill.ts';
import { type LaneMachine, laneSchedule, spreadSchedule } from '../../schedule/auto-lanes.ts';
import { laneVariants, type SortingChoice, type TileChoice } from '../../schedule/lane-variants.ts';
import { toSizeExpr } from '../../size-expr.ts';
import type { Capabilities, Target } from '../../target.ts';
import { limitOf, PRIVATE_BYTES, PROMISED, wgslDefaults } from './capabilities.ts';
import { forwardCopies } from './legalise/copies.ts';
import { joinBuffers } from './legalise/join.ts';
import { agree, checkShape, fixedBounds, oneIndex, serialLoops } from './legalise/lanes.ts';
import { legaliseMemory } from './legalise/memory.ts';
import { legaliseOperations } from './legalise/operations.ts';
import { checkLimits } from './limits.ts';
import { printModule } from './print/module.ts';

export { WgslError } from './errors.ts';

/** WGSL. Legalise throws WgslError. */
export const wgsl: Target = {
  name: 'wgsl',
  extension: 'wgsl',
  defaults: wgslDefaults,
  variants: (unit, capabilities, layer) => {
    const threads = limitOf(capabilities, 'workgroup-threads');
    const memory = limitOf(capabilities, 'workgroup-bytes');
    return laneVariants(unit, layer, {
      memory,
      tiles: TILES.filter(({ tile }) => tile.lanes <= threads),
      subtrees: SUBTREES.lanes <= threads ? { ...SUBTREES, memory } : null,
      sorting: SORTING.lanes <= threads ? SORTING : null,
      walks: { form: 'elements' },
      sharing: [],
    });
  },
  schedule: (unit, kernel, capabilities) => {
    if (kernel.workgroup !== undefined) return [];
    const machine = machineOf(capabilities);
    return unit.kind === 'generic' ? spreadSchedule(kernel, machine) : laneSchedule(kernel, machine);
  },
  legalise: (capabilities) => [
    { name: 'wgsl-shape', run: checkShape },
    { name: 'wgsl-spill', run: (kernel) => spill(kernel, PRIVATE_BYTES) },
    { name: 'wgsl-join', run: (kernel) => joinBuffers(kernel, limitOf(capabilities, 'storage-buffers')) },
    { name: 'wgsl-loops', run: (kernel) => fixedBounds(agree(serialLoops(oneIndex(kernel)))) },
    { name: 'wgsl-limits', run: (kernel) => checkLimits(kernel, capabilities) },
    { name: 'wgsl-operations', run: legaliseOperations },
    { name: 'wgsl-memory', run: (kernel) => legaliseMemory(kernel, capabilities) },
    { name: 'wgsl-hoist', run: hoist },
    { name: 'wgsl-share', run: share },
    { name: 'wgsl-copies', run: forwardCopies },
    { name: 'wgsl-depth', run: limitDepth },
  ],
  print: printModule,
  scratch: scratchBytes,
  assemble: null,
  requires: (capabilities) => [
    ...(['subgroups', 'f16'] as const).filter((name) => capabilities[name] === true),
    ...(Object.keys(PROMISED) as (keyof typeof PROMISED)[])
      .filter((name) => limitOf(capabilities, name) > PROMISED[name])
      .map((name) => `${name}=${limitOf(capabilities, name)}`),
  ],
  numerics: () => ({ fma: 'driver', 'division-ulp': 2.5, denormals: 'driver' }),
};

/** Within what every WebGPU device promises: 256 threads, 16 KiB of workgroup memory. */
const TILES: readonly TileChoice[] = [
  {
    from: 8,
    columns: 8,
    tile: { rows: 32, columns: 32, depth: 8, laneRows: 4, laneColumns: 4, subgroups: 1, lanes: 64 },
  },
  {
    from: 64,
    columns: 128,
    tile: { rows: 64, columns: 64, depth: 16, laneRows: 4, laneColumns: 4, subgroups: 1, lanes: 256 },
  },
];

/**
 * Walks of few rows: 32 neighbouring threads for each of seven nodes, three levels a round. Devices are of all sizes; even small
 * ones are idle with fewer rows than this.
 */
const SUBTREES = { below: 32, subgroups: 1, lanes: 256, team: 32 } as const;

/** Walks of many rows through trees that large devices' caches don't hold; an estimate, which nobody has timed. */
const SORTING: SortingChoice = {
  ...{ from: 8192, treeBytes: 48 * 2 ** 20, nodes: 256 },
  ...{ stretches: 64, subgroups: 1, lanes: 256 },
};

/** Threads that share a row: enough to hide memory's latency, few enough that folds over them are short. */
const TEAM = 64;

/** A whole workgroup is one subgroup of the Kernel IR: WGSL has barriers for workgroups alone. */
function machineOf(capabilities: Capabilities): LaneMachine {
  const lanes = Math.min(TEAM, limitOf(capabilities, 'workgroup-threads'));
  // Half the workgroup memory: folds and broadcasts take some.
  const memory = limitOf(capabilities, 'workgroup-bytes') / 2;
  return { lanes, subgroups: 1, threads: lanes, memory, privateBytes: PRIVATE_BYTES, workgroups: 256, run: 1 };
}

/** Bytes of scratch memory of a workgroup. */
function scratchBytes(kernel: Kernel): SizeExpr {
  const size = scratchOf(kernel);
  return Sizes.constantOf(size) === 0 ? 0 : toSizeExpr(size);
}
