/**
 * Loops that are dealt out to lanes, as the CUDA target counts them: in rounds where they come out even, and an index that
 * asks for the round gets it; what else there is stays as it was.
 */
import { describe, expect, it } from 'vitest';
import * as k from '../src/kernel-ir/build.ts';
import { printKernel } from '../src/kernel-ir/print.ts';
import type { Binding, Expr, Kernel, Stmt } from '../src/kernel-ir/types.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { countRounds } from '../src/targets/cuda/rounds.ts';
import { clean } from './support/clean.ts';
import * as h from './support/handwritten.ts';

const { n, name, at, put } = h;
const i = name('i');

const over = (body: readonly Stmt[], more: Partial<Kernel> = {}): Kernel => ({
  name: 'k0',
  label: 'test',
  dims: ['T'],
  faults: [],
  workgroup: { subgroups: 2, lanes: 8 },
  buffers: [h.buffer('x', [256]), h.buffer('y', [256], 'global', 'write'), h.buffer('p', [32], 'private')],
  body: [h.workgroups('g', n(1), body)],
  ...more,
});
const deal = (
  to: Expr,
  body: readonly Stmt[],
  { from = n(0), step = 1, binding = 'lane' }: { from?: Expr; step?: number; binding?: Binding } = {},
): Stmt => k.loop('i', from, to, body, { binding, step });
const copy = [put('y', [i], at('x', i))];
const bodyOf = (kernel: Kernel): string => printKernel(kernel).split('workgroup g in 0 .. 1 {\n')[1] ?? '';

/** The kernel after the pass, once it was shown to compute the same. */
function counted(kernel: Kernel): Kernel {
  verify(kernel, 'test');
  const after = countRounds(kernel);
  verify(after, 'cuda-rounds');
  const tensors = { x: Float32Array.from({ length: 256 }, (_, e) => e + 1) };
  expect(clean(after, { dims: { T: 5 }, tensors })).toEqual(clean(kernel, { dims: { T: 5 }, tensors }));
  return after;
}

describe('come out even', () => {
  it('a loop over lanes is one over rounds', () => {
    expect(bodyOf(counted(over([deal(n(64), copy)])))).toMatchInlineSnapshot(`
      "    for round in 0 .. 8 {
            let i = ((round * 8) + @subgroup_lane)
            y[i] = x[i]
          }
        }
      }
      "
    `);
  });

  it('a single round is no loop', () => {
    expect(bodyOf(counted(over([deal(n(8), copy)])))).toMatchInlineSnapshot(`
      "    let i = @subgroup_lane
          y[i] = x[i]
        }
      }
      "
    `);
  });

  it('runs of four', () => {
    const four = [put('y', [i], h.wideAt('x', i))];
    expect(bodyOf(counted(over([deal(n(96), four, { step: 4 })])))).toMatchInlineSnapshot(`
      "    for round in 0 .. 3 {
            let i = ((round * 32) + (@subgroup_lane * 4))
            y[i ..4] = x[i ..4]
          }
        }
      }
      "
    `);
  });

  it('a loop over subgroups, and one over lanes inside', () => {
    const inner = k.loop('j', n(0), n(16), [put('y', [k.add(k.mul(i, n(16)), name('j'))], at('x', name('j')))], {
      binding: 'lane',
    });
    const text = bodyOf(counted(over([deal(n(4), [inner], { binding: 'subgroup' })])));
    expect(text).toMatch(/let i = \(\(round\w* \* 2\) \+ @subgroup\)/);
    expect(text).toMatch(/let j = \(\(round\w* \* 8\) \+ @subgroup_lane\)/);
    expect(text).not.toMatch(/for (lane|subgroup)/);
  });
});

describe('stay', () => {
  it.each<[string, Kernel]>([
    ['loops whose last round is short', over([deal(n(12), copy)])],
    ['loops in runs whose last round is short', over([deal(n(40), copy, { step: 4 })])],
    ['loops that end within a run', over([deal(n(62), copy, { step: 4 })])],
    ['loops from elsewhere', over([deal(n(12), copy, { from: n(4) })])],
    ['loops to what is not known', over([deal(h.T, copy)])],
    ['loops that run never', over([deal(n(0), copy)])],
    ['loops of one lane alone', over([deal(n(64), copy, { binding: 'serial' })])],
    ['kernels whose threads run alone', { ...over([]), ...{ body: [h.serial('i', n(64), copy)] } }],
  ])('%s', (_, kernel) => {
    expect(counted(kernel)).toEqual(kernel);
  });

  it('kernels without a workgroup', () => {
    const { workgroup: _, ...alone } = over([]);
    const kernel = { ...alone, body: [h.serial('i', n(64), copy)] };
    expect(countRounds(kernel)).toBe(kernel);
  });
});

describe('which round it is', () => {
  /** The element of a split array that stands for x[i], as `cooperate` writes it, in a loop of these runs. */
  const through = (place: Expr, to: number, step: number): Kernel =>
    over([
      deal(n(to), [put('p', [place], k.mul(at('x', i), k.f32(2)))], { step }),
      k.loop('j', n(0), n(to), [put('y', [name('j')], at('p', swap(place)))], { binding: 'lane', step }),
    ]);
  const swap = (e: Expr): Expr =>
    e.kind === 'ref' ? name('j') : e.kind === 'op' ? { ...e, args: e.args.map(swap) } : e;

  it('is the round, in loops of single elements', () => {
    const text = bodyOf(counted(through(h.div(i, 8), 64, 1)));
    expect(text).toMatch(/p\[round\w*\] = /);
    expect(text).not.toContain('//');
  });

  it('is the round, in loops of runs', () => {
    const text = bodyOf(counted(through(k.mul(h.div(i, 32), n(4)), 128, 4)));
    expect(text).toMatch(/p\[\(round\w* \* 4\)\] = /);
    expect(text).not.toContain('//');
  });

  it('is 0 where there is one', () => {
    expect(bodyOf(counted(through(h.div(i, 8), 8, 1)))).toContain('p[0] = ');
  });

  it('is not what another division gives', () => {
    // ⌊i / 4⌋ of eight lanes is two to a round.
    expect(bodyOf(counted(through(h.div(i, 4), 64, 1)))).toContain('p[(i // 4)] = ');
    expect(bodyOf(counted(through(h.div(k.add(i, n(1)), 8), 64, 1)))).toContain('p[((i + 1) // 8)] = ');
  });

  it('is that of the loop the index belongs to', () => {
    const inner = k.loop('j', n(0), n(16), [put('p', [h.div(i, 8)], at('x', name('j')))], { binding: 'serial' });
    const kernel = over([
      deal(n(64), [inner]),
      k.loop('l', n(0), n(16), [put('y', [name('l')], at('p', h.div(name('l'), 8)))], { binding: 'lane' }),
    ]);
    expect(bodyOf(counted(kernel))).toMatch(/for j in 0 \.\. 16 \{\n +p\[round\w*\] = /);
  });
});
