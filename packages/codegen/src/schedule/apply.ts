/** Applies a schedule to a kernel, step by step. */
import type { Layout } from '@espalier/artefact';
import { rowMajor } from '@espalier/artefact';
import * as k from '../kernel-ir/build.ts';
import type { Kernel, Stmt } from '../kernel-ir/types.ts';
import { mapStatements, Names, visitExpressions, visitStatements } from '../kernel-ir/walk.ts';
import { cooperateOnGrid } from './cooperate.ts';
import { renamed } from './copy.ts';
import { guessNext } from './guess.ts';
import { interleaveRows } from './interleave.ts';
import { jamLoop } from './jam.ts';
import { keepRow } from './keep.ts';
import { multiplesOf } from './memory.ts';
import { passBy } from './pass-by.ts';
import { repeatLoop } from './repeat.ts';
import { spreadGrid } from './spread.ts';
import { type Schedule, ScheduleRefusal, type Step } from './steps.ts';
import { VectoriseError, vectoriseLoop } from './vectorise.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** The kernel after all steps. Throws ScheduleRefusal for the first step that can't be applied. */
export const applySchedule = (kernel: Kernel, schedule: Schedule): Kernel => schedule.reduce(applyStep, kernel);

/** Results of steps: finding a default schedule applies the steps that the pipeline then applies again. */
const applied = new WeakMap<Kernel, Map<string, Kernel>>();

/** The kernel after one step. Throws ScheduleRefusal, naming the reason. */
export function applyStep(kernel: Kernel, step: Step): Kernel {
  const known = applied.get(kernel) ?? new Map<string, Kernel>();
  applied.set(kernel, known);
  const key = JSON.stringify(step);
  const result = known.get(key) ?? rewrite(kernel, step);
  known.set(key, result);
  return result;
}

function rewrite(kernel: Kernel, step: Step): Kernel {
  if (step.step === 'pack') return pack(kernel, step);
  if (step.step === 'cooperate') return orRefuse(step, cooperateOnGrid(kernel, step));
  if (step.step === 'spread') return orRefuse(step, spreadGrid(kernel, step));
  if (step.step === 'keep') return orRefuse(step, keepRow(kernel, step.buffer));
  if (step.step === 'pass') return orRefuse(step, passBy(kernel, step.buffer));
  if (step.step === 'interleave') return orRefuse(step, interleaveRows(kernel, step));
  const names = new Names(kernel);
  const multiples = multiplesOf(kernel.body);
  let found = false;
  const body = mapStatements(kernel.body, (s) => {
    if (s.kind !== 'for' || s.label !== step.loop) return s;
    found = true;
    return rewriteLoop(s, step, kernel, names, multiples);
  });
  if (!found) throw new ScheduleRefusal(step, `there is no loop ${step.loop}`);
  return { ...kernel, body };
}

function orRefuse(step: Step, result: Kernel | string): Kernel {
  if (typeof result === 'string') throw new ScheduleRefusal(step, result);
  return result;
}

type LoopStep = Exclude<Step, { step: 'pack' | 'spread' | 'cooperate' | 'interleave' | 'keep' | 'pass' }>;

function rewriteLoop(
  loop: For,
  step: LoopStep,
  kernel: Kernel,
  names: Names,
  multiples: ReadonlyMap<string, number>,
): readonly Stmt[] {
  switch (step.step) {
    case 'vectorise':
      try {
        return vectoriseLoop(loop, { ...step, kernel, names, multiples });
      } catch (error) {
        if (error instanceof VectoriseError) throw new ScheduleRefusal(step, error.message);
        throw error;
      }
    case 'jam': {
      const jammed = jamLoop(loop, step.by, names);
      if (typeof jammed === 'string') throw new ScheduleRefusal(step, jammed);
      return jammed;
    }
    case 'repeat': {
      const repeated = repeatLoop(loop, step.by, names);
      if (typeof repeated === 'string') throw new ScheduleRefusal(step, repeated);
      return repeated;
    }
    case 'guess': {
      const guessed = guessNext(loop);
      if (typeof guessed === 'string') throw new ScheduleRefusal(step, guessed);
      return guessed;
    }
    case 'unroll': {
      if (loop.from.kind !== 'literal' || loop.to.kind !== 'literal')
        throw new ScheduleRefusal(step, 'its bounds are not constant');
      const { value: from } = loop.from;
      const trips = Math.max(0, Math.ceil((loop.to.value - from) / loop.step));
      if (trips > step.limit) throw new ScheduleRefusal(step, `it runs ${trips} times, more than ${step.limit}`);
      return Array.from({ length: trips }, (_, i) =>
        renamed(loop.body, names, new Map([[loop.index, k.i32(from + i * loop.step)]])),
      ).flat();
    }
  }
}

function pack(kernel: Kernel, step: Extract<Step, { step: 'pack' }>): Kernel {
  const buffer = kernel.buffers.find((b) => b.name === step.buffer);
  if (buffer === undefined) throw new ScheduleRefusal(step, `there is no buffer ${step.buffer}`);
  if (step.axis < 0 || step.axis >= buffer.shape.length) throw new ScheduleRefusal(step, `it has no axis ${step.axis}`);
  const plain = rowMajor(buffer.shape.length);
  if (!(Number.isInteger(step.block) && step.block > 0)) throw new ScheduleRefusal(step, `blocks of ${step.block}`);
  if (JSON.stringify(buffer.layout) !== JSON.stringify(plain)) throw new ScheduleRefusal(step, 'it is packed already');
  if (buffer.space !== 'global' || buffer.access !== 'read')
    throw new ScheduleRefusal(step, 'only what is read alone can be packed');
  visitExpressions(kernel.body, (e) => {
    if (e.kind === 'load' && e.buffer === step.buffer && e.type.lanes > 1) {
      throw new ScheduleRefusal(step, 'it is read as vectors in its present order; pack before you vectorise');
    }
  });
  const layout: Layout = [
    { part: 'outer', axis: step.axis, block: step.block },
    ...plain.filter((d) => d.axis !== step.axis),
    { part: 'inner', axis: step.axis, block: step.block },
  ];
  return { ...kernel, buffers: kernel.buffers.map((b) => (b === buffer ? { ...b, layout } : b)) };
}

/** The loops of a kernel, outer before inner. */
export function loopsOf(body: readonly Stmt[]): readonly For[] {
  const found: For[] = [];
  visitStatements(body, (s) => {
    if (s.kind === 'for') found.push(s);
  });
  return found;
}
