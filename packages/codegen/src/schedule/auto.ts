/**
 * Default schedules for a SIMD machine, found from the loops themselves. For each nest, from outside in: an output loop
 * whose every access is in order is vectorised as a whole and jammed into a register tile; else its innermost loops are
 * vectorised one by one. The result is plain data: the steps a tuner would start from.
 */
import type { Kernel, Stmt } from '../kernel-ir/types.ts';
import { Names, visitStatements } from '../kernel-ir/walk.ts';
import type { Form, Registers } from '../target.ts';
import { applyStep, loopsOf } from './apply.ts';
import { jamLoop } from './jam.ts';
import { multiplesOf } from './memory.ts';
import { type Schedule, ScheduleRefusal, type Step } from './steps.ts';
import { movesInOrder, tripOf, VectoriseError, vectoriseLoop } from './vectorise.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** What the default schedules need to know of a SIMD machine. */
export interface SimdMachine {
  /** f32 values in a vector. */
  readonly lanes: number;
  /** Vector registers that accumulators may take. */
  readonly accumulators: number;
  /** Whether vectors should be stored two by two, because the machine fuses neighbours. */
  readonly pairs: boolean;
}

/** Gives every loop its own label, so that steps found for one do not reach another. */
export function labelled(kernel: Kernel): Kernel {
  const names = new Names();
  const label = (body: readonly Stmt[]): readonly Stmt[] =>
    body.map((s) => {
      if (s.kind === 'for') return { ...s, label: names.fresh(s.label), body: label(s.body) };
      if (s.kind === 'if') return { ...s, then: label(s.then), otherwise: label(s.otherwise) };
      return s;
    });
  return { ...kernel, body: label(kernel.body) };
}

/** A schedule for a kernel whose loops have labels of their own (`labelled`). Rows that a grid step takes together are interleaved. */
export function defaultSchedule(
  kernel: Kernel,
  whole: SimdMachine,
  { together, accumulators: partials, deferred = false, pairsLeft = false }: RowsForm = ALONE,
): Schedule {
  const trial = new Trial(kernel);
  // What a deferred walk yields fills the registers one row at a time.
  const tile = deferred ? whole.accumulators * (whole.pairs ? 2 : 1) : Math.floor(whole.accumulators / together);
  const apart: string[] = [];
  const machine: SimdMachine = { ...whole, pairs: whole.pairs && together === 1 };
  const consider = (body: readonly Stmt[], around: For | null): void => {
    for (const s of body) {
      if (s.kind === 'if') {
        consider(s.then, around);
        consider(s.otherwise, around);
      }
      if (s.kind !== 'for') continue;
      if (s.binding === 'serial' && worthVectorising(s, trial.kernel, machine)) {
        const step: Step = {
          step: 'vectorise',
          loop: s.label,
          lanes: machine.lanes,
          // As many for rows alone as for rows together, so that a row's sums are added up alike.
          accumulators: hasLoop(s) ? 1 : (partials ?? accumulatorsFor(s, whole)),
        };
        if (trial.accept(step)) {
          if (hasLoop(s)) {
            const sums = Math.max(1, s.body.filter((x) => x.kind === 'var').length);
            trial.accept({ step: 'jam', loop: s.label, by: Math.max(1, Math.floor(tile / (deferred ? sums : 1))) });
            if (deferred) apart.push(s.label, `${s.label}_tail`);
          } else if (isFold(s)) {
            // Two results at a time: what the rows read alike and each row's own are then used twice.
            if (together > 1 && around?.body.includes(s)) trial.accept({ step: 'jam', loop: around.label, by: 2 });
          } else if (machine.pairs) trial.accept({ step: 'repeat', loop: s.label, by: 2 });
          continue;
        }
      }
      consider(s.body, s.binding === 'serial' && !INTERLEAVED.includes(s.label) ? s : null);
    }
  };
  consider(kernel.body, null);
  // A walk alone waits for each node; several wait together, and a wrong guess of one would hold up the others.
  if (deferred && together === 1)
    for (const loop of loopsOf(trial.kernel.body)) trial.accept({ step: 'guess', loop: loop.label });
  for (const loop of together > 1 ? INTERLEAVED : []) {
    const step: Step = { step: 'interleave', loop, by: together };
    trial.accept(apart.length === 0 ? step : { ...step, apart });
    if (pairsLeft && together > 2) trial.accept({ step: 'interleave', loop: `${loop}_tail`, by: 2 });
  }
  return trial.steps;
}

/** Loops over rows that are interleaved. */
const INTERLEAVED: readonly string[] = ['rows', 'grouped', 'alone'];

/** Whether a loop folds into variables of outside. */
const isFold = (loop: For): boolean => loop.body.some((s) => s.kind === 'assign');

/** A grid step takes one row. */
const ALONE: RowsForm = { together: 1 };
type RowsForm = Omit<Extract<Form, { form: 'rows' }>, 'form'> & {
  /** Rows that are left over are interleaved by two. */
  readonly pairsLeft?: boolean;
};

/** A schedule in the making: steps that the kernel refuses are left out. */
class Trial {
  readonly steps: Step[] = [];
  kernel: Kernel;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** Adds a step if it can be applied after those so far. */
  accept(step: Step): boolean {
    try {
      this.kernel = applyStep(this.kernel, step);
    } catch (error) {
      if (error instanceof ScheduleRefusal) return false;
      throw error;
    }
    this.steps.push(step);
    return true;
  }
}

/** The loop somewhere inside that starts an accumulator in each iteration. */
function accumulating(body: readonly Stmt[]): For | null {
  let found: For | null = null;
  visitStatements(body, (s) => {
    if (found === null && s.kind === 'for' && s.body.some((x) => x.kind === 'var')) found = s;
  });
  return found;
}

const hasLoop = (loop: For): boolean => {
  let found = false;
  visitStatements(loop.body, (s) => {
    found ||= s.kind === 'for';
  });
  return found;
};

function worthVectorising(loop: For, kernel: Kernel, machine: SimdMachine): boolean {
  const trips = tripOf(loop);
  if (trips !== null && trips < machine.lanes) return false;
  if (!movesInOrder(loop, kernel, multiplesOf(kernel.body), machine.lanes)) return false;
  if (!hasLoop(loop)) return true;
  // An outer loop: only when it could be a tile, that is when nothing but its own results depends on its order.
  try {
    vectoriseLoop(loop, {
      lanes: machine.lanes,
      accumulators: 1,
      kernel,
      names: new Names(kernel),
      multiples: multiplesOf(kernel.body),
    });
  } catch (error) {
    if (error instanceof VectoriseError) return false;
    throw error;
  }
  return typeof jamLoop(loop, 2, new Names(kernel)) !== 'string';
}

/** Partial results for a folded loop: enough to hide the latency of the fold when the loop is long. */
function accumulatorsFor(loop: For, machine: SimdMachine): number {
  const trips = tripOf(loop);
  if (trips === null) return 2;
  // Where the machine fuses vectors by two, half as many sums are on their way.
  if (machine.pairs && trips >= machine.lanes * 32) return 8;
  return trips >= machine.lanes * 16 ? 4 : trips >= machine.lanes * 4 ? 2 : 1;
}

/**
 * The schedule of a contraction: weights packed by panels, each nest of columns, rows and reduction a tile of `rows` by
 * `columns` accumulators, rows that are left over in tiles of half the height, a quarter …; loops over staged sums are
 * vectorised. What can't be vectorised, such as columns that are gathered or checked, stays as it is.
 */
export function contractSchedule(
  kernel: Kernel,
  weights: readonly { readonly tensor: string; readonly axis: number }[],
  tile: Registers,
  machine: SimdMachine & { readonly panel: number },
): Schedule {
  const trial = new Trial(kernel);
  for (const w of weights) trial.accept({ step: 'pack', buffer: w.tensor, axis: w.axis, block: machine.panel });
  const vectorise = (loop: For): boolean =>
    trial.accept({ step: 'vectorise', loop: loop.label, lanes: machine.lanes, accumulators: 1 });
  const consider = (body: readonly Stmt[]): void => {
    for (const s of body) {
      if (s.kind !== 'for') continue;
      const inner = s.binding === 'serial' ? accumulating(s.body) : null;
      if (inner !== null && vectorise(s)) {
        const reduction = inner.body.find((x): x is For => x.kind === 'for');
        // Rows first: a row's columns then stand together, and one splat of x is alive at a time beside the accumulators.
        trial.accept({ step: 'jam', loop: inner.label, by: tile.rows });
        for (const [by, label] of leftOver(tile.rows, inner.label)) trial.accept({ step: 'jam', loop: label, by });
        trial.accept({ step: 'jam', loop: s.label, by: tile.columns / machine.lanes });
        if (reduction !== undefined) trial.accept({ step: 'repeat', loop: reduction.label, by: REDUCTION_REPEATS });
      } else if (s.binding !== 'serial' || hasLoop(s) || !vectorise(s)) consider(s.body);
      else if (machine.pairs) trial.accept({ step: 'repeat', loop: s.label, by: 2 });
    }
  };
  consider(kernel.body);
  for (const { label, body } of loopsOf(kernel.body))
    if (body.every((s) => s.kind === 'touch')) trial.accept({ step: 'repeat', loop: label, by: TOUCH_REPEATS });
  return trial.steps;
}

/** Steps of a reduction that its loop does in one go: counting is then small beside 12 accumulators' work. */
const REDUCTION_REPEATS = 2;

/** Touches that its loop does in one go: nothing should stand between them. */
const TOUCH_REPEATS = 16;

/** Heights of the tiles for what a tile of `rows` leaves over, and the loops they are made of: 4 and 2 for 6. */
function leftOver(rows: number, label: string): readonly (readonly [number, string])[] {
  const steps: [number, string][] = [];
  let tail = `${label}_tail`;
  for (let by = 2 ** Math.floor(Math.log2(rows - 1)); by >= 2; by /= 2) {
    steps.push([by, tail]);
    tail = `${tail}_tail`;
  }
  return steps;
}
