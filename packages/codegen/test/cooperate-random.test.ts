/**
 * Any sequence of steps that a kernel accepts, and then `cooperate`: results are those of the plain kernel, exactly, on
 * integers, whatever the numbers of subgroups, lanes and bytes, and the simulator finds no race.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lowerLayer } from '../src/compile.ts';
import { printKernel } from '../src/kernel-ir/print.ts';
import type { Kernel } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { applyStep, loopsOf } from '../src/schedule/apply.ts';
import { ScheduleRefusal, type Step } from '../src/schedule/steps.ts';
import type { Form, Target } from '../src/target.ts';
import { cuda } from '../src/targets/cuda/index.ts';
import { countRounds } from '../src/targets/cuda/rounds.ts';
import { clean } from './support/clean.ts';
import { exactLayers, integerTensors } from './support/kernels.ts';

const forms: readonly Form[] = [
  { form: 'rows', together: 1, deferred: true },
  { form: 'rows', together: 2, accumulators: 1, clamped: true },
  { form: 'elements' },
];
/** Each layer's kernels in each form, row by row and element by element; those that forms have in common, once. */
const kernels: readonly Kernel[] = exactLayers.flatMap((layer) => {
  const found = new Map<string, Kernel>();
  for (const form of forms) {
    const target: Target = {
      ...cuda,
      variants: (unit) => [{ name: '', from: 0, form: unit.kind === 'rows' ? form : { form: 'elements' } }],
    };
    for (const { kernel } of lowerLayer(layer, target, cuda.defaults, {})) found.set(printKernel(kernel), kernel);
  }
  return [...found.values()];
});

function attempt(kernel: Kernel, step: Step): Kernel | null {
  try {
    const next = applyStep(kernel, step);
    verify(next, step.step);
    return next;
  } catch (error) {
    if (error instanceof ScheduleRefusal) return null;
    throw error;
  }
}

/** A step that leaves the grid, aimed at a loop or buffer that the kernel has. */
function stepFor(kernel: Kernel, [kind, which, size]: readonly [number, number, number]): Step {
  const labels = [...new Set(loopsOf(kernel.body).map((l) => l.label))];
  const loop = labels[which % labels.length] ?? 'none';
  switch (kind % 6) {
    case 0:
    case 1:
      return { step: 'vectorise', loop, lanes: size % 2 === 0 ? 4 : 2, accumulators: 1 + (size % 3) };
    case 2:
      return { step: 'keep', buffer: kernel.buffers[which % kernel.buffers.length]?.name ?? 'none' };
    case 3:
      return { step: 'repeat', loop, by: 2 + (size % 3) };
    case 4:
      return { step: 'jam', loop, by: 2 + (size % 2) };
    default:
      return { step: 'interleave', loop, by: 2 + (size % 2) };
  }
}

describe('steps, and then lanes together', () => {
  it.each(kernels.map((kernel, i) => [`${i}: ${kernel.label}`, kernel] as const))(
    'keep the results of %s',
    (_, kernel) => {
      let shared = 0;
      fc.assert(
        fc.property(
          fc.array(fc.tuple(fc.nat(5), fc.nat(20), fc.nat(7)), { maxLength: 5 }),
          fc.record({
            subgroups: fc.constantFrom(1, 2, 3),
            lanes: fc.constantFrom(1, 2, 4, 8),
            memory: fc.constantFrom(0, 40, 4096),
            workgroups: fc.constantFrom(undefined, 1, 2),
          }),
          fc.nat(6),
          fc.nat(9),
          fc.integer(),
          (choices, { workgroups, ...how }, T, S, seed) => {
            const dims = { T, S };
            const tensors = integerTensors(kernel, dims, seed);
            const expected = clean(kernel, { dims, tensors });
            const applied: Step[] = [];
            let current = kernel;
            const take = (step: Step): boolean => {
              const next = attempt(current, step);
              if (next === null) return false;
              current = next;
              applied.push(step);
              return true;
            };
            for (const choice of choices) take(stepFor(current, choice));
            const together = { step: 'cooperate', ...how } as const;
            if (!take(workgroups === undefined ? together : { ...together, workgroups })) return;
            shared++;
            const told = `${JSON.stringify(applied)}\n${printKernel(current)}`;
            expect(clean(current, { dims, tensors }), told).toEqual(expected);
            const counted = countRounds(current);
            verify(counted, 'cuda-rounds');
            expect(clean(counted, { dims, tensors }), told).toEqual(expected);
          },
        ),
        { numRuns: 40 },
      );
      expect(shared).toBeGreaterThan(0);
    },
  );
});
