/**
 * Default schedules for a machine of lanes: a subgroup shares a grid step where its loops allow, else each thread takes one.
 * As for SIMD machines the result is plain data, the steps a tuner would start from.
 */

import { storageBytes } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import type { Kernel } from '../kernel-ir/types.ts';
import { columnsOf, type RowsUnit, type Unit } from '../lower/partition.ts';
import { levelsFor, planSubtrees, subtreeBytes } from '../lower/subtrees-plan.ts';
import type { TeamShape } from '../lower/team.ts';
import { isTileable } from '../lower/tile.ts';
import type { Form, Tile, Variant } from '../target.ts';
import { applyStep } from './apply.ts';
import { type Schedule, ScheduleRefusal, type Step } from './steps.ts';

/** What the default schedules need to know of a lane machine. */
export interface LaneMachine {
  readonly lanes: number;
  /** Subgroups of a workgroup that share rows. */
  readonly subgroups: number;
  /** Threads of a workgroup whose threads work alone. */
  readonly threads: number;
  /** Bytes of workgroup memory arrays may take. */
  readonly memory: number;
  /** Bytes of private arrays a thread may keep. */
  readonly privateBytes: number;
  /** Workgroups to start at most where each needs scratch memory. */
  readonly workgroups: number;
}

/** Whether private arrays of the kernel must go to scratch memory. */
function needsScratch(kernel: Kernel, machine: LaneMachine): boolean {
  let bytes = 0;
  for (const b of kernel.buffers) {
    if (b.space === 'scratch') return true;
    if (b.space !== 'private') continue;
    const elements = Sizes.constantOf(Sizes.product(b.shape));
    bytes += elements === null ? Number.POSITIVE_INFINITY : elements * storageBytes[b.storage];
  }
  return bytes > machine.privateBytes;
}

/** The steps with which every thread takes a grid step of its own. */
export function spreadSchedule(kernel: Kernel, machine: LaneMachine): Schedule {
  const step: Step = { step: 'spread', subgroups: machine.threads / machine.lanes, lanes: machine.lanes };
  return [needsScratch(kernel, machine) ? { ...step, workgroups: machine.workgroups } : step];
}

/** The steps with which a subgroup takes a grid step, or each thread where lanes find nothing to share. */
export function laneSchedule(kernel: Kernel, machine: LaneMachine): Schedule {
  const { subgroups, lanes, memory } = machine;
  const step: Step = { step: 'cooperate', subgroups, lanes, memory };
  try {
    const shared = applyStep(kernel, step);
    return [needsScratch(shared, machine) ? { ...step, workgroups: machine.workgroups } : step];
  } catch (error) {
    if (error instanceof ScheduleRefusal) return spreadSchedule(kernel, machine);
    throw error;
  }
}

/** A tile for contractions of at least `from` rows and `columns` columns. */
export interface TileChoice {
  readonly from: number;
  readonly columns: number;
  readonly tile: Tile;
}

/** How walks of fewer than `below` rows are taken by subtrees. */
export interface SubtreeChoice extends TeamShape {
  readonly below: number;
  /** Bytes of workgroup memory a unit may take. */
  readonly memory: number;
}

/** The form of a unit that walks trees, or null where its shape or memory is against it. */
function subtreesForm(unit: RowsUnit, { subgroups, lanes, team, memory }: SubtreeChoice): Form | null {
  const plan = planSubtrees(unit);
  if (plan === null) return null;
  const shape: TeamShape = { subgroups, lanes, team };
  const levels = levelsFor(plan, shape);
  return subtreeBytes(unit, plan, shape, levels) <= memory ? { form: 'subtrees', levels, ...shape } : null;
}

/**
 * The variants of a unit: walks of few rows are taken by subtrees; a contraction of few rows is a grid of dot products, one of more a grid of tiles, the larger the
 * more rows there are. `choices` by ascending `from`; the first that fits the width from each number of rows on is taken.
 */
export function laneVariants(
  unit: Unit,
  choices: readonly TileChoice[],
  subtrees: SubtreeChoice | null,
): readonly Variant[] {
  const plain: Variant = { name: '', from: 0, form: { form: 'elements' } };
  if (unit.kind === 'rows' && subtrees !== null) {
    const form = subtreesForm(unit, subtrees);
    if (form === null) return [plain];
    const { below } = subtrees;
    return [
      { name: 'few', from: 0, below, form },
      { ...plain, from: below },
    ];
  }
  if (unit.kind !== 'contract' || !isTileable(unit)) return [plain];
  const columns = columnsOf(unit) ?? 1;
  const fitting = choices.filter((c) => columns >= c.columns);
  const starts = [...new Set(fitting.map((c) => c.from))];
  return [0, ...starts].map((from, i): Variant => {
    const below = starts[i];
    const widest = fitting.filter((c) => c.from === from).sort((a, b) => b.columns - a.columns)[0];
    const form: Form = widest === undefined ? { form: 'elements' } : { form: 'tile', ...widest.tile };
    return {
      name: below === undefined ? '' : `to_${below - 1}`,
      from,
      form,
      ...(below === undefined ? {} : { below }),
    };
  });
}
