/**
 * Default schedules for a machine of lanes: a subgroup shares a grid step where its loops allow, else each thread takes one.
 * As for SIMD machines the result is plain data, the steps a tuner would start from.
 */

import { Sizes } from '@espalier/ir';
import { affine, residue } from '../kernel-ir/affine.ts';
import { multiplesIn } from '../kernel-ir/multiples.ts';
import { type Expr, elementBytes, type Kernel, type KernelBuffer, type Stmt } from '../kernel-ir/types.ts';
import type { Form } from '../target.ts';
import { applyStep } from './apply.ts';
import { bufferOf, loadsOf, movement, storesOf } from './memory.ts';
import { type Schedule, ScheduleRefusal, type Step } from './steps.ts';
import { tripOf } from './vectorise.ts';

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
  /** Neighbouring elements a lane is best given at once: 4 where memory is read 16 bytes a lane, 1 where it makes no difference. */
  readonly run: number;
}

/** Whether private arrays of the kernel must go to scratch memory. */
function needsScratch(kernel: Kernel, machine: LaneMachine): boolean {
  let bytes = 0;
  for (const b of kernel.buffers) {
    if (b.space === 'scratch') return true;
    if (b.space !== 'private') continue;
    const elements = Sizes.constantOf(Sizes.product(b.shape));
    bytes += elements === null ? Number.POSITIVE_INFINITY : elements * elementBytes[b.storage];
  }
  return bytes > machine.privateBytes;
}

/** The steps with which every thread takes a grid step of its own. */
export function spreadSchedule(kernel: Kernel, machine: LaneMachine): Schedule {
  const step: Step = { step: 'spread', subgroups: machine.threads / machine.lanes, lanes: machine.lanes };
  return [needsScratch(kernel, machine) ? { ...step, workgroups: machine.workgroups } : step];
}

/** The steps with which a subgroup takes a grid step, or each thread where lanes find nothing to share. */
export function laneSchedule(kernel: Kernel, machine: LaneMachine, form?: Form): Schedule {
  const { subgroups, lanes, memory } = machine;
  const cooperate: Step = { step: 'cooperate', subgroups, lanes, memory };
  const shared = attempt(kernel, [cooperate]);
  if (shared === null) return spreadSchedule(kernel, machine);
  const rows = form?.form === 'rows' ? form.together : 1;
  const isWalk = form?.form === 'sorted' || (form?.form === 'rows' && form.deferred === true);
  const before = machine.run === 1 ? [] : preparation(kernel, machine, rows, isWalk);
  const prepared = before.length === 0 ? null : attempt(kernel, [...before, cooperate]);
  // Arrays that lanes hold in registers must stay there. Rows side by side have as many of each as they are.
  const isBetter =
    prepared !== null &&
    memoryOf(prepared) <= rows * memoryOf(shared) &&
    needsScratch(prepared, machine) === needsScratch(shared, machine);
  const steps = isBetter ? before : [];
  const last = needsScratch(isBetter ? prepared : shared, machine)
    ? { ...cooperate, workgroups: machine.workgroups }
    : cooperate;
  return [...steps, last];
}

/** The kernel after the steps; null where one of them refuses. */
function attempt(kernel: Kernel, steps: Schedule): Kernel | null {
  try {
    return steps.reduce(applyStep, kernel);
  } catch (error) {
    if (error instanceof ScheduleRefusal) return null;
    throw error;
  }
}

/** Elements in workgroup memory. */
const memoryOf = (kernel: Kernel): number =>
  kernel.buffers
    .filter((b) => b.space === 'workgroup')
    .reduce((sum, b) => sum + (Sizes.constantOf(Sizes.product(b.shape)) ?? 0), 0);

/** Rows that are read over and over are kept, and loops give each lane runs of neighbours where memory allows. */
function preparation(kernel: Kernel, machine: LaneMachine, together: number, isWalk: boolean): Schedule {
  const rows = kernel.buffers.filter((b) => b.space === 'global' && b.access === 'read' && fitsRegisters(b, machine));
  const kept = accepted(
    kernel,
    rows.map((b): Step => ({ step: 'keep', buffer: b.name })),
  );
  const runs = runSteps(kept.reduce(applyStep, kernel), machine);
  const beside: Step = { step: 'interleave', loop: 'rows', by: together };
  // A walk's rows come and go; the nodes stay.
  const passing = isWalk
    ? [
        ...kept.flatMap((s) => (s.step === 'keep' ? [s.buffer] : [])),
        ...kernel.buffers.filter((b) => b.space === 'global' && b.access === 'write').map((b) => b.name),
      ]
    : [];
  const passes = passing.map((buffer): Step => ({ step: 'pass', buffer }));
  return accepted(kernel, [...kept, ...runs, ...(together > 1 ? [beside] : []), ...passes]);
}

/** The steps that a kernel accepts, one after another. */
function accepted(kernel: Kernel, steps: Schedule): Schedule {
  let current = kernel;
  return steps.filter((step) => {
    const next = attempt(current, [step]);
    current = next ?? current;
    return next !== null;
  });
}

/** Most elements of a kept row in a lane's registers; it has some 200 for everything. */
const MOST_KEPT = 48;

const fitsRegisters = (b: KernelBuffer, { lanes }: LaneMachine): boolean =>
  (Sizes.constantOf(b.shape.at(-1) ?? Sizes.constant(0)) ?? Number.POSITIVE_INFINITY) <= MOST_KEPT * lanes;

/**
 * The steps that give lanes runs of neighbours, where every access is in order and aligned: for loops long enough to keep all lanes busy, and
 * for loops inside those, which a lane runs alone; in kernels written for workgroups also for the few results that a lane
 * holds side by side.
 */
export function runSteps(kernel: Kernel, { run, lanes }: Pick<LaneMachine, 'run' | 'lanes'>): Schedule {
  const steps: Step[] = [];
  const isWritten = kernel.workgroup !== undefined;
  const consider = (body: readonly Stmt[], isDealt: boolean): void => {
    for (const s of body) {
      if (s.kind === 'if') for (const block of [s.then, s.otherwise]) consider(block, isDealt);
      if (s.kind !== 'for') continue;
      const trip = tripOf(s);
      const isLoop = s.binding === 'serial' || s.binding === 'lane';
      const width = isWritten && trip === 2 ? trip : run;
      const isLong = trip !== null && trip % run === 0 && (isDealt || trip >= run * lanes);
      if (isLoop && s.step === 1 && (isLong || (isWritten && trip === width)) && isAligned(s, kernel, width))
        steps.push({ step: 'vectorise', loop: s.label, lanes: width, accumulators: 1 });
      const keepsBusy = !isWritten && s.binding === 'serial' && s.label !== 'rows' && (trip ?? lanes) * 2 >= lanes;
      consider(s.body, isDealt || keepsBusy);
    }
  };
  consider(kernel.body, false);
  return accepted(kernel, steps);
}

/** Whether everything a loop reads and writes along its index are whole runs of memory. */
function isAligned(loop: Extract<Stmt, { kind: 'for' }>, kernel: Kernel, run: number): boolean {
  const multiples = new Map(multiplesIn(kernel.body)).set(loop.index, run);
  if (residue(affine(loop.from), run, multiples) !== 0) return false;
  return [...loadsOf(loop.body), ...storesOf(loop.body)].every((access) => {
    const buffer = bufferOf(kernel, access.buffer);
    const moves = movement(access, buffer, loop, run, multiples);
    if (moves !== 'contiguous') return moves === 'uniform';
    const last = buffer.layout.at(-1);
    const row = Sizes.constantOf(buffer.shape.at(-1) ?? Sizes.constant(1));
    const isRowMajor = last?.part === 'whole' && last.axis === buffer.shape.length - 1;
    const startsRun = residue(affine(access.indices.at(-1) as Expr), run, multiples) === 0;
    return isRowMajor && startsRun && (buffer.shape.length === 1 || (row !== null && row % run === 0));
  });
}
