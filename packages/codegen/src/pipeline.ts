/**
 * The pipeline: one ordered array of named passes. The driver alone verifies, times and dumps between them; a pass never
 * prints.
 */
import type { Kernel } from './kernel-ir/types.ts';
import { expandMath } from './passes/expand-math/index.ts';
import { flatten } from './passes/flatten.ts';
import { fuseMultiplyAdd } from './passes/fuse-multiply-add.ts';
import { hoistValues } from './passes/hoist.ts';
import { shareValues } from './passes/share.ts';
import { applySchedule } from './schedule/apply.ts';
import type { Schedule } from './schedule/steps.ts';
import type { Capabilities, KernelPass, Target } from './target.ts';

/** All passes a lowered kernel goes through on its way to a target's printer. */
export function pipelineFor(target: Target, capabilities: Capabilities, schedule: Schedule): readonly KernelPass[] {
  return [
    { name: 'schedule', run: (kernel) => applySchedule(kernel, schedule) },
    { name: 'fuse-multiply-add', run: fuseMultiplyAdd },
    { name: 'share', run: shareValues },
    { name: 'hoist', run: hoistValues },
    { name: 'expand-math', run: expandMath },
    { name: 'flatten', run: flatten },
    ...target.legalise(capabilities),
  ];
}

/** What a person may ask `explain` for, in order: the lowered kernel, then every pass. */
export const stageNames = (target: Target): readonly string[] => [
  'lower',
  ...pipelineFor(target, target.defaults, []).map((p) => p.name),
];

/** Something watching the pipeline: the kernel after each stage, and how long the stage took in milliseconds. */
export type Observe = (stage: string, kernel: Kernel, milliseconds: number) => void;
