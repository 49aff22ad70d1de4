/** The step `keep`: the row it copies, what it refuses and why, and that results stay. */
import { standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { lowerLayer } from '../src/compile.ts';
import * as k from '../src/kernel-ir/build.ts';
import { printKernel } from '../src/kernel-ir/print.ts';
import type { Expr, Kernel, Stmt } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { applySchedule, applyStep } from '../src/schedule/apply.ts';
import { ScheduleRefusal, type Step } from '../src/schedule/steps.ts';
import type { Target } from '../src/target.ts';
import { cuda } from '../src/targets/cuda/index.ts';
import { clean } from './support/clean.ts';
import * as h from './support/handwritten.ts';
import { integerTensors } from './support/kernels.ts';

const { n, name, at, put, set, f } = h;
const [t, i, r] = [name('t'), name('i'), name('r')];

/** A grid over T whose steps run `body`, over x[T, 8], w[3, 8], ids[T], h[T, 8] (f16) and y[T, 8]. */
const over = (body: readonly Stmt[], more: Partial<Kernel> = {}): Kernel => ({
  name: 'k0',
  label: 'test',
  dims: ['T'],
  faults: [],
  buffers: [
    h.buffer('x', ['T', 8]),
    h.buffer('w', [3, 8]),
    h.buffer('ids', ['T'], 'global', 'read', { storage: 'i32' }),
    h.buffer('c', ['T', 8], 'global', 'read', { storage: 'i8' }),
    h.buffer('y', ['T', 8], 'global', 'read_write'),
    h.buffer('p', [8], 'private'),
  ],
  body: [h.grid('t', h.T, body)],
  ...more,
});
/** acc += value, eight times, three times over. */
const again = (value: Expr, to: Expr = n(8), from: Expr = n(0)): readonly Stmt[] => [
  h.variable('acc', k.f32(0)),
  h.serial('r', n(3), [k.loop('i', from, to, [set('acc', k.add(f('acc'), value))])]),
  put('y', [t, n(0)], f('acc')),
];
const keep = (buffer: string): Step => ({ step: 'keep', buffer });
const reasonOf = (kernel: Kernel, step: Step): string => {
  verify(kernel, 'test');
  try {
    applyStep(kernel, step);
  } catch (error) {
    if (error instanceof ScheduleRefusal) return error.reason;
    throw error;
  }
  return 'none';
};

describe('refuses', () => {
  const x = at('x', t, i);
  const read = again(x);
  it.each<[string, string, Kernel, string]>([
    ['a buffer that is not there', 'z', over(read), 'there is no buffer z'],
    ['what is written', 'y', over(again(at('y', t, i))), 'y is not memory that is only read'],
    ['private memory', 'p', over(again(at('p', i))), 'p is not memory that is only read'],
    [
      'what is read once, by one loop',
      'x',
      over([
        h.variable('acc', k.f32(0)),
        h.serial('i', n(8), [set('acc', k.add(f('acc'), x))]),
        put('y', [t, n(0)], f('acc')),
      ]),
      'x is read once',
    ],
    ['several rows', 'x', over(again(k.add(x, at('x', n(0), i)))), 'several rows of x are read'],
    [
      'rows of several lengths',
      'x',
      over([
        h.variable('acc', k.f32(0)),
        h.serial('i', n(8), [set('acc', k.add(f('acc'), x))]),
        h.serial('r', n(4), [set('acc', k.add(f('acc'), at('x', t, r)))]),
      ]),
      'several rows of x are read',
    ],
    ['a loop over a part of the row', 'x', over(again(x, n(5))), 'the loops go over 5 of the 8 elements of a row'],
    ['a loop from elsewhere', 'x', over(again(x, n(8), n(2))), 'x is not read element by element'],
    ['a loop to what is not known', 'x', over(again(x, k.min(h.T, n(8)))), 'x is not read element by element'],
    ['the row backwards', 'x', over(again(at('x', t, k.sub(n(7), i)))), 'x is not read element by element'],
    ['one element', 'x', over(again(at('x', t, n(3)))), 'x is not read element by element'],
    ['down a column', 'w', over(again(at('w', r, n(3)))), 'w is not read element by element'],
    ['a row of each round', 'w', over(again(at('w', r, i))), 'w is read in several places'],
    [
      'a row that memory says inside a loop',
      'x',
      over([
        h.variable('acc', k.f32(0)),
        h.serial('r', n(3), [
          h.define('which', h.integerAt('ids', n(0))),
          h.serial('i', n(8), [set('acc', k.add(f('acc'), at('x', name('which'), i)))]),
        ]),
      ]),
      'x is read in several places',
    ],
    ['a row that memory says', 'x', over(again(at('x', h.integerAt('ids', t), i))), 'x is read in several places'],
    [
      'what decides a branch',
      'x',
      over([
        ...read,
        h.serial('j', n(8), [h.when(h.less(at('x', t, name('j')), k.f32(0)), put('y', [t, n(1)], k.f32(0)))]),
      ]),
      'x decides how loops run',
    ],
    [
      'what decides how far a loop goes',
      'c',
      over([
        h.variable('acc', k.f32(0)),
        h.serial('i', n(8), [h.serial('r', h.integerAt('c', t, i), [set('acc', k.add(f('acc'), k.f32(1)))])]),
      ]),
      'c decides how loops run',
    ],
    [
      'a row that is there under a condition only',
      'x',
      over([h.when(h.less(n(0), t), ...again(at('x', k.sub(t, n(1)), i)))]),
      'x is read under a condition',
    ],
    [
      'a row that is there only if a loop runs',
      'x',
      over([h.serial('q', h.T, again(at('x', k.sub(h.T, n(1)), i)))]),
      'x is read in a loop that may never run',
    ],
    ['what is not read', 'w', over(read), 'w is not read in the grid step'],
    ['a kernel without a grid', 'x', over([], { body: [h.serial('t', h.T, read)] }), 'the kernel has no grid left'],
    [
      'a kernel whose grid was dealt out',
      'x',
      applyStep(over(read), { step: 'spread', subgroups: 4, lanes: 32 }),
      'the kernel has no grid left',
    ],
  ])('%s', (_, buffer, kernel, reason) => {
    expect(reasonOf(kernel, keep(buffer))).toBe(reason);
  });
});

describe('keeps', () => {
  const dims = { T: 5 };
  const same = (kernel: Kernel, steps: readonly Step[]): Kernel => {
    const kept = applySchedule(kernel, steps);
    verify(kept, 'keep');
    const tensors = integerTensors(kernel, dims, 3);
    expect(clean(kept, { dims, tensors })).toEqual(clean(kernel, { dims, tensors }));
    return kept;
  };

  it('the row in private memory, and reads it there', () => {
    const kept = same(over(again(at('x', t, i))), [keep('x')]);
    expect(printKernel(kept).split('{\n').slice(1).join('{\n')).toMatchInlineSnapshot(`
      "  for grid t in 0 .. T {
          for i_1 in 0 .. 8 {
            x_row[i_1] = x[t, i_1]
          }
          var acc: f32 = 0.0
          for r in 0 .. 3 {
            for i in 0 .. 8 {
              acc = (acc + x_row[i])
            }
          }
          y[t, 0] = acc
        }
      }
      "
    `);
  });

  it('a row whose number the step begins with', () => {
    const kept = same(over([h.define('row', h.integerAt('ids', t)), ...again(at('x', name('row'), i))]), [keep('x')]);
    expect(printKernel(kept)).toContain('x_row[i_1] = x[row, i_1]');
  });

  it('what two loops read one after the other', () => {
    const two = over([
      h.variable('acc', k.f32(0)),
      h.serial('i', n(8), [set('acc', k.add(f('acc'), at('x', t, i)))]),
      h.serial('j', n(8), [put('y', [t, name('j')], k.mul(at('x', t, name('j')), f('acc')))]),
    ]);
    expect(printKernel(same(two, [keep('x')]))).toContain('y[t, j] = (x_row[j] * acc)');
  });

  it('a row that is read under a condition, and before it without', () => {
    const kernel = over([
      ...again(at('x', t, i)),
      h.when(
        h.less(n(0), t),
        put('y', [t, n(1)], k.f32(1)),
        h.serial('j', n(8), [put('y', [t, name('j')], at('x', t, name('j')))]),
      ),
    ]);
    expect(printKernel(same(kernel, [keep('x')]))).toContain('y[t, j] = x_row[j]');
  });

  it('a row of integers, and two buffers at once', () => {
    const value = k.mul(at('x', t, i), k.op('to_f32', h.integerAt('c', t, i)));
    const kept = same(over(again(value)), [keep('x'), keep('c')]);
    const storage = new Map(kept.buffers.map((b) => [b.name, b.storage]));
    expect([storage.get('x_row'), storage.get('c_row')]).toEqual(['f32', 'i32']);
  });

  /** y[t, r] = sum i: x[t, i] * w[r, i], and a row of y for itself. */
  const products = over([
    h.serial('r', n(3), [
      h.variable('acc', k.f32(0)),
      h.serial('i', n(8), [set('acc', k.add(f('acc'), k.mul(at('x', t, i), at('w', r, i))))]),
      put('y', [t, r], f('acc')),
    ]),
  ]);
  const runs = (loop: string): Step => ({ step: 'vectorise', loop, lanes: 4, accumulators: 1 });

  it.each<readonly Step[]>([
    [keep('x'), runs('i')],
    [runs('i'), keep('x')],
    [keep('x'), { step: 'jam', loop: 'r', by: 2 }],
    [keep('x'), { step: 'repeat', loop: 'i', by: 3 }],
    [keep('x'), { step: 'unroll', loop: 'x_row', limit: 8 }],
    [keep('x'), { step: 'cooperate', subgroups: 2, lanes: 4, memory: 4096 }],
    [keep('x'), runs('x_row'), runs('i'), { step: 'cooperate', subgroups: 1, lanes: 2, memory: 0 }],
    [keep('x'), { step: 'spread', subgroups: 1, lanes: 4 }],
  ])('before and after other steps: %o, %o', (...steps) => {
    same(products, steps);
  });
});

it('the row of a tree’s walk is kept, its weights are not', () => {
  const layer = standardLayer('fff', { dims: { D: 8, O: 4, trees: 1, depth: 2 } });
  const byRows: Target = {
    ...cuda,
    variants: () => [{ name: '', from: 0, form: { form: 'rows', together: 1, deferred: true } }],
  };
  const [lowered] = lowerLayer(layer, byRows, cuda.defaults, {});
  const kernel = lowered?.kernel as Kernel;
  expect(reasonOf(kernel, keep('x'))).toBe('none');
  expect(reasonOf(kernel, keep('w1'))).toBe('w1 is read in several places');
});
