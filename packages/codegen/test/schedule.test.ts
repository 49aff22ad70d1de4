/**
 * Schedule steps keep the meaning: any sequence of accepted steps leaves a kernel's results equal, here exactly, on
 * integer data, at sizes with and without tails; what is refused is refused with a reason.
 */

import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as k from '../src/kernel-ir/build.ts';
import { printKernel } from '../src/kernel-ir/print.ts';
import type { Kernel, Stmt } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { applySchedule, applyStep, loopsOf } from '../src/schedule/apply.ts';
import { ScheduleRefusal, type Step } from '../src/schedule/steps.ts';
import { clean } from './support/clean.ts';
import { exactKernels, integerTensors } from './support/kernels.ts';

/** Applies a step where it is accepted. */
function attempt(kernel: Kernel, step: Step): Kernel | ScheduleRefusal {
  try {
    const next = applyStep(kernel, step);
    verify(next, step.step);
    return next;
  } catch (error) {
    if (error instanceof ScheduleRefusal) return error;
    throw error;
  }
}

/** A step chosen by numbers, aimed at a loop or buffer that the kernel has. */
function stepFor(kernel: Kernel, [kind, which, size, more]: readonly [number, number, number, number]): Step {
  const labels = loopsOf(kernel.body).map((l) => l.label);
  const loop = labels[which % labels.length] ?? 'none';
  switch (kind % 9) {
    case 0:
    case 1:
      return { step: 'vectorise', loop, lanes: 4, accumulators: 1 + (more % 3) };
    case 2:
      return { step: 'jam', loop, by: 2 + (size % 4) };
    case 3:
      return { step: 'unroll', loop, limit: 16 };
    case 4:
      return { step: 'repeat', loop, by: 1 + (size % 4) };
    case 5:
      return { step: 'guess', loop };
    case 6:
      return { step: 'interleave', loop, by: 2 + (size % 3) };
    case 7:
      return { step: 'keep', buffer: kernel.buffers[which % kernel.buffers.length]?.name ?? 'none' };
    default: {
      const buffers = kernel.buffers.filter((b) => b.space === 'global' && b.access === 'read' && b.shape.length > 0);
      const buffer = buffers[which % Math.max(1, buffers.length)];
      return {
        step: 'pack',
        buffer: buffer?.name ?? 'none',
        axis: more % (buffer?.shape.length ?? 1),
        block: size % 2 === 0 ? 4 : 8,
      };
    }
  }
}

describe('any sequence of steps', () => {
  const numbers = fc.tuple(fc.nat(7), fc.nat(20), fc.nat(7), fc.nat(5));

  it.each(exactKernels.map((kernel) => [kernel.label, kernel] as const))('keeps the results of %s', (_, kernel) => {
    let accepted = 0;
    fc.assert(
      fc.property(
        fc.array(numbers, { minLength: 1, maxLength: 5 }),
        fc.nat(6),
        fc.nat(9),
        fc.integer(),
        (choices, T, S, seed) => {
          const dims = { T, S };
          const tensors = integerTensors(kernel, dims, seed);
          const expected = clean(kernel, { dims, tensors });
          let current = kernel;
          const applied: Step[] = [];
          for (const choice of choices) {
            const step = stepFor(current, choice);
            const next = attempt(current, step);
            if (next instanceof ScheduleRefusal) continue;
            current = next;
            applied.push(step);
            accepted++;
          }
          const found = clean(current, { dims, tensors });
          expect(found, `${JSON.stringify(applied)}\n${printKernel(current)}`).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
    expect(accepted).toBeGreaterThan(0);
  });
});

const shape = (...sizes: readonly number[]) => sizes.map(Sizes.constant);
const buffer = (
  name: string,
  access: 'read' | 'write' | 'read_write',
  ...sizes: readonly number[]
): Kernel['buffers'][number] => ({
  name,
  space: 'global',
  access,
  storage: 'f32',
  shape: shape(...sizes),
  layout: rowMajor(sizes.length),
});
const float = k.scalar('f32');
const at = (name: string, ...indices: Parameters<typeof k.load>[1]) => k.load(name, indices, float);
const i = k.index('i');
const j = k.index('j');

/** One serial loop `i` over 0 … 10 (and what else the body brings) in a kernel over x[10, 10], ids[10], y[10, 10]. */
const over = (body: readonly Stmt[], to = k.i32(10)): Kernel => ({
  name: 'k0',
  label: 'test',
  buffers: [
    buffer('x', 'read', 10, 10),
    { ...buffer('ids', 'read', 10), storage: 'i32' },
    buffer('y', 'read_write', 10, 10),
  ],
  dims: ['T'],
  body: [k.varStmt('acc', k.f32(0)), k.loop('i', k.i32(0), to, body)],
  faults: [],
});
const vectorise: Step = { step: 'vectorise', loop: 'i', lanes: 4, accumulators: 1 };
const jam: Step = { step: 'jam', loop: 'i', by: 2 };
const unroll: Step = { step: 'unroll', loop: 'i', limit: 8 };
const copy = k.store('y', [k.i32(0), i], at('x', k.i32(0), i));

describe('refusals', () => {
  const refusals: readonly (readonly [string, Step, Kernel, string])[] = [
    ['no such loop', { ...vectorise, loop: 'z' }, over([copy]), 'there is no loop z'],
    ['no such buffer', { step: 'pack', buffer: 'z', axis: 0, block: 4 }, over([copy]), 'there is no buffer z'],
    ['no such axis', { step: 'pack', buffer: 'x', axis: 2, block: 4 }, over([copy]), 'it has no axis 2'],
    [
      'packed twice',
      { step: 'pack', buffer: 'x', axis: 0, block: 4 },
      applyStep(over([copy]), { step: 'pack', buffer: 'x', axis: 1, block: 4 }),
      'it is packed already',
    ],
    ['too short', vectorise, over([copy], k.i32(3)), 'the loop runs 3 times, fewer than 4 lanes'],
    [
      'a recurrence',
      vectorise,
      over([k.assign('acc', k.op('div', k.ref('acc', float), k.f32(2)))]),
      'acc is carried from one iteration to the next',
    ],
    [
      'a scan',
      vectorise,
      over([k.assign('acc', k.add(k.ref('acc', float), k.f32(1))), k.store('y', [k.i32(0), i], k.ref('acc', float))]),
      'acc is used in the loop that folds it',
    ],
    [
      'two folds',
      vectorise,
      over([
        k.assign('acc', k.add(k.ref('acc', float), k.f32(1))),
        k.assign('acc', k.mul(k.ref('acc', float), k.f32(2))),
      ]),
      'acc is folded in two ways',
    ],
    [
      'neighbours',
      vectorise,
      over([k.store('y', [k.i32(0), i], at('y', k.i32(0), k.sub(i, k.i32(1))))]),
      'iterations may meet in y',
    ],
    [
      'one place',
      vectorise,
      over([k.store('y', [k.i32(0), k.i32(0)], at('x', k.i32(0), i))]),
      'iterations may meet in y',
    ],
    [
      'down a column',
      vectorise,
      over([k.store('y', [i, k.i32(0)], at('x', i, k.i32(0)))]),
      'y is not written in order',
    ],
    [
      'a gather',
      vectorise,
      over([
        k.letStmt('n', k.load('ids', [i], k.scalar('i32'))),
        k.store('y', [k.i32(0), i], at('x', k.i32(0), k.index('n'))),
      ]),
      'x is gathered',
    ],
    [
      'a branch',
      vectorise,
      over([{ kind: 'if', condition: k.op('lt', i, k.i32(5)), then: [copy], otherwise: [] }]),
      'a branch differs between lanes',
    ],
    [
      'a check',
      vectorise,
      over([{ kind: 'check', condition: k.op('lt', i, k.i32(5)), fault: 1 }, copy]),
      'a check differs between lanes',
    ],
    [
      'a triangle',
      vectorise,
      over([k.loop('j', k.i32(0), i, [k.store('y', [j, i], at('x', j, i))])]),
      'an inner loop’s bounds differ between lanes',
    ],
    [
      'a diagonal',
      jam,
      over([k.loop('j', k.i32(0), k.i32(3), [k.store('y', [k.i32(0), k.add(i, j)], at('x', i, j))])], k.i32(7)),
      'iterations may meet in y',
    ],
    [
      'packing what is written',
      { step: 'pack', buffer: 'y', axis: 0, block: 4 },
      over([copy]),
      'only what is read alone can be packed',
    ],
    ['packing in blocks of nothing', { step: 'pack', buffer: 'x', axis: 0, block: 0 }, over([copy]), 'blocks of 0'],
    [
      'packing under vectors',
      { step: 'pack', buffer: 'x', axis: 1, block: 4 },
      applyStep(over([copy]), vectorise),
      'it is read as vectors in its present order; pack before you vectorise',
    ],
    [
      'a jammed fold',
      jam,
      over([k.assign('acc', k.add(k.ref('acc', float), at('x', k.i32(0), i)))]),
      'acc is carried from one iteration to the next',
    ],
    [
      'a jammed triangle',
      jam,
      over([k.loop('j', k.i32(0), i, [k.store('y', [j, i], at('x', j, i))])]),
      'the bounds of loop j depend on i',
    ],
    [
      'a jammed branch',
      jam,
      over([{ kind: 'if', condition: k.op('lt', i, k.i32(5)), then: [copy], otherwise: [] }]),
      'a branch in the loop',
    ],
    ...[2, 4].map((lanes): readonly [string, Step, Kernel, string] => [
      `vectors of vectors, ${lanes} and 4`,
      { ...vectorise, lanes },
      applyStep(
        over([
          k.varStmt('sum', k.f32(0)),
          k.loop('j', k.i32(0), k.i32(8), [k.assign('sum', k.add(k.ref('sum', float), at('x', i, j)))]),
          k.store('y', [k.i32(0), i], k.ref('sum', float)),
        ]),
        { ...vectorise, loop: 'j' },
      ),
      'what it computes are vectors already',
    ]),
    ['unrolling the unknown', unroll, over([copy], k.dim('T')), 'its bounds are not constant'],
    ['unrolling too much', unroll, over([copy]), 'it runs 10 times, more than 8'],
  ];

  it.each(refusals)('%s', (_, step, kernel, reason) => {
    verify(kernel, 'test');
    const refusal = attempt(kernel, step);
    expect(refusal).toBeInstanceOf(ScheduleRefusal);
    expect((refusal as ScheduleRefusal).reason).toBe(reason);
    expect((refusal as ScheduleRefusal).message).toBe(`schedule step ${JSON.stringify(step)} refused: ${reason}`);
  });
});

describe('packed memory', () => {
  it.each([0, 1, 2, 4, 5])('is read right from loops that start within a block, at %i', (from) => {
    const row: Kernel = {
      ...over([]),
      buffers: [buffer('x', 'read', 10, 19), buffer('y', 'write', 10, 19)],
      body: [k.loop('i', k.i32(from), k.i32(19), [k.store('y', [k.i32(0), i], at('x', k.i32(3), i))])],
    };
    const tensors = { x: Float32Array.from({ length: 190 }, (_, e) => e) };
    const scheduled = applySchedule(row, [{ step: 'pack', buffer: 'x', axis: 1, block: 8 }, vectorise]);
    const dims = { T: 1 };
    expect(clean(scheduled, { dims, tensors })).toEqual(clean(row, { dims, tensors }));
  });
});

describe('what a step makes of a loop', () => {
  const body = (kernel: Kernel): string => printKernel(kernel).split('{\n').slice(1).join('{\n');

  it('vectorise: a main loop and a scalar tail', () => {
    expect(body(applyStep(over([copy]), vectorise))).toMatchInlineSnapshot(`
      "  var acc: f32 = 0.0
        for i_1 in 0 .. 8 by 4 {
          y[0, i_1 ..4] = x[0, i_1 ..4]
        }
        for i_2 in 8 .. 10 {
          y[0, i_2] = x[0, i_2]
        }
      }
      "
    `);
  });

  it('vectorise: a sum in partial results', () => {
    const sum = over([k.assign('acc', k.add(k.ref('acc', float), k.mul(at('x', k.i32(0), i), k.f32(2))))]);
    expect(body(applyStep(sum, { ...vectorise, accumulators: 2 }))).toMatchInlineSnapshot(`
      "  var acc: f32 = 0.0
        var acc_v: f32x4 = splat4(0.0)
        var acc_v_1: f32x4 = splat4(0.0)
        for i_1 in 0 .. 8 by 8 {
          acc_v = (acc_v + (x[0, i_1 ..4] * splat4(2.0)))
          acc_v_1 = (acc_v_1 + (x[0, (i_1 + 4) ..4] * splat4(2.0)))
        }
        acc = (acc + fold_add((acc_v + acc_v_1)))
        for i_3 in 8 .. 10 {
          acc = (acc + (x[0, i_3] * 2.0))
        }
      }
      "
    `);
  });

  it('vectorise: a column is collected lane by lane', () => {
    expect(
      body(applyStep(over([k.store('y', [k.i32(0), i], at('x', i, k.i32(3)))]), vectorise)),
    ).toMatchInlineSnapshot(`
      "  var acc: f32 = 0.0
        for i_1 in 0 .. 8 by 4 {
          y[0, i_1 ..4] = <x[i_1, 3], x[(i_1 + 1), 3], x[(i_1 + 2), 3], x[(i_1 + 3), 3]>
        }
        for i_2 in 8 .. 10 {
          y[0, i_2] = x[i_2, 3]
        }
      }
      "
    `);
  });

  it('jam: what all copies name alike is named once, what they do not is not', () => {
    const named = over([
      k.loop('j', k.i32(0), k.dim('T'), [
        k.letStmt('row', k.mul(j, k.i32(3))),
        k.letStmt('next', k.add(k.index('row'), k.i32(1))),
        k.letStmt('own', k.add(i, k.index('next'))),
        k.store('y', [k.i32(0), i], k.op('to_f32', k.index('own'))),
      ]),
    ]);
    const text = body(applyStep(named, { ...jam, by: 5 }));
    expect(text.match(/let row\w* =/g)).toHaveLength(1);
    expect(text.match(/let next\w* =/g)).toHaveLength(1);
    expect(text.match(/let own\w* =/g)).toHaveLength(5);
  });

  it('guess: a choice that is carried becomes a branch', () => {
    const kernel = over([
      k.varStmt('node', k.i32(0)),
      k.loop('j', k.i32(0), k.i32(3), [
        k.store('y', [k.i32(0), i], at('x', j, k.index('node'))),
        k.assign(
          'node',
          k.add(
            k.mul(k.index('node'), k.i32(2)),
            k.op('select', k.op('gt', at('x', j, i), k.f32(0)), k.i32(2), k.i32(1)),
          ),
        ),
      ]),
    ]);
    expect(body(applyStep(kernel, { step: 'guess', loop: 'j' }))).toMatchInlineSnapshot(`
      "  var acc: f32 = 0.0
        for i in 0 .. 10 {
          var node: i32 = 0
          for j in 0 .. 3 {
            y[0, i] = x[j, node]
            if (x[j, i] > 0.0) {
              node = ((node * 2) + 2)
            } else {
              node = ((node * 2) + 1)
            }
          }
        }
      }
      "
    `);
  });

  it('jam: inner loops merge', () => {
    const product = over([
      k.varStmt('sum', k.f32(0)),
      k.loop('j', k.i32(0), k.dim('T'), [
        k.assign('sum', k.add(k.ref('sum', float), k.mul(at('x', i, j), at('x', k.i32(0), j)))),
      ]),
      k.store('y', [k.i32(0), i], k.ref('sum', float)),
    ]);
    expect(body(applyStep(product, { ...jam, by: 3 }))).toMatchInlineSnapshot(`
      "  var acc: f32 = 0.0
        for i_1 in 0 .. 9 by 3 {
          var sum: f32 = 0.0
          var sum_1: f32 = 0.0
          var sum_2: f32 = 0.0
          for j in 0 .. T {
            sum = (sum + (x[i_1, j] * x[0, j]))
            sum_1 = (sum_1 + (x[(i_1 + 1), j] * x[0, j]))
            sum_2 = (sum_2 + (x[(i_1 + 2), j] * x[0, j]))
          }
          y[0, i_1] = sum
          y[0, (i_1 + 1)] = sum_1
          y[0, (i_1 + 2)] = sum_2
        }
        for i_2 in 9 .. 10 {
          var sum_3: f32 = 0.0
          for j_1 in 0 .. T {
            sum_3 = (sum_3 + (x[i_2, j_1] * x[0, j_1]))
          }
          y[0, i_2] = sum_3
        }
      }
      "
    `);
  });

  it('unroll: no loop is left', () => {
    expect(body(applyStep(over([copy], k.i32(3)), unroll))).toMatchInlineSnapshot(`
      "  var acc: f32 = 0.0
        y[0, 0] = x[0, 0]
        y[0, 1] = x[0, 1]
        y[0, 2] = x[0, 2]
      }
      "
    `);
  });

  it('vectorise and unroll one after the other', () => {
    expect(body(applySchedule(over([copy]), [vectorise, unroll]))).toMatchInlineSnapshot(`
      "  var acc: f32 = 0.0
        y[0, 0 ..4] = x[0, 0 ..4]
        y[0, 4 ..4] = x[0, 4 ..4]
        for i_2 in 8 .. 10 {
          y[0, i_2] = x[0, i_2]
        }
      }
      "
    `);
  });
});
