/**
 * What names are known to be multiples of, against all values they take; and the accesses that the CUDA printer makes of it: one of 8
 * or 16 bytes where it is known to begin at a multiple of its length, else element by element.
 */
import { rowMajor } from '@espalier/artefact';
import { describe, expect, it } from 'vitest';
import * as k from '../src/kernel-ir/build.ts';
import { multiplesIn } from '../src/kernel-ir/multiples.ts';
import type { Expr, Kernel, KernelStorage, Stmt } from '../src/kernel-ir/types.ts';
import { printed } from './support/cuda-kernels.ts';
import * as h from './support/handwritten.ts';

const { n, name } = h;

/** All values that names take when T is 7. Loops are run, lets computed. */
function valuesOf(body: readonly Stmt[]): ReadonlyMap<string, readonly number[]> {
  const seen = new Map<string, number[]>();
  const numberOf = (e: Expr, names: ReadonlyMap<string, number>): number => {
    if (e.kind === 'literal') return e.value;
    if (e.kind === 'dim') return 7;
    if (e.kind === 'ref') return names.get(e.name) ?? Number.NaN;
    if (e.kind !== 'op') throw new Error(`no value for ${e.kind}`);
    const [a = 0, b = 0] = e.args.map((x) => numberOf(x, names));
    switch (e.op) {
      case 'add':
        return a + b;
      case 'sub':
        return a - b;
      case 'mul':
        return a * b;
      case 'floordiv':
        return Math.floor(a / b);
      case 'mod':
        return ((a % b) + b) % b;
      case 'min':
        return Math.min(a, b);
      default:
        throw new Error(`no value for ${e.op}`);
    }
  };
  const run = (block: readonly Stmt[], outer: ReadonlyMap<string, number>): void => {
    const names = new Map(outer);
    const note = (of: string, value: number): void => {
      names.set(of, value);
      seen.set(of, [...(seen.get(of) ?? []), value]);
    };
    for (const s of block) {
      if (s.kind === 'let') note(s.name, numberOf(s.value, names));
      if (s.kind === 'for')
        for (let at = numberOf(s.from, names); at < numberOf(s.to, names); at += s.step) {
          note(s.index, at);
          run(s.body, names);
        }
    }
  };
  run(body, new Map());
  return seen;
}

const loop = (index: string, from: Expr, to: Expr, step: number, body: readonly Stmt[] = []): Stmt =>
  k.loop(index, from, to, body, { step });
const a = name('a');

describe('multiples', () => {
  it.each<[string, readonly Stmt[], Readonly<Record<string, number>>]>([
    ['of a loop’s step', [loop('a', n(0), n(64), 4)], { a: 4 }],
    ['up to eight', [loop('a', n(0), n(64), 32)], { a: 8 }],
    ['of what divides both step and start', [loop('a', n(4), n(64), 8)], { a: 4 }],
    ['of a start that is odd', [loop('a', n(1), n(64), 8)], {}],
    ['of a step of six', [loop('a', n(0), n(64), 6)], { a: 2 }],
    ['of a start that is not known', [loop('a', h.T, n(64), 8)], {}],
    ['of a start that is eight times something', [loop('a', k.mul(h.T, n(8)), n(640), 4)], { a: 4 }],
    ['of single steps', [loop('a', n(0), n(9), 1)], {}],
    ['of a product', [loop('a', n(0), n(9), 1, [h.define('b', k.mul(a, n(12)))])], { b: 4 }],
    ['of a product of two', [loop('a', n(0), n(8), 2, [h.define('b', k.mul(a, k.mul(h.T, n(2))))])], { a: 2, b: 4 }],
    [
      'of a sum',
      [loop('a', n(0), n(32), 8, [h.define('b', k.add(a, k.mul(h.T, n(4)))), h.define('c', k.add(name('b'), n(2)))])],
      { a: 8, b: 4, c: 2 },
    ],
    ['of a sum that is odd', [loop('a', n(0), n(32), 8, [h.define('b', k.add(a, n(3)))])], { a: 8 }],
    ['of a difference', [loop('a', n(0), n(32), 4, [h.define('b', k.sub(n(64), a))])], { a: 4, b: 4 }],
    ['of a quotient', [loop('a', n(0), n(64), 8, [h.define('b', h.div(a, 8))])], { a: 8 }],
    ['of four times a remainder', [loop('a', n(0), n(64), 1, [h.define('b', k.mul(h.mod(a, 8), n(4)))])], { b: 4 }],
    [
      'of names that follow from names',
      [loop('a', n(0), n(32), 4, [loop('b', a, n(64), 8, [h.define('c', k.mul(name('b'), n(2)))])])],
      { a: 4, b: 4, c: 8 },
    ],
    ['of nothing', [h.define('zero', n(0))], { zero: 8 }],
  ])('%s', (_, body, expected) => {
    const found = multiplesIn(body);
    expect(Object.fromEntries(found)).toEqual(expected);
    const values = valuesOf(body);
    for (const [of, by] of found) {
      expect(values.get(of)?.length, of).toBeGreaterThan(0);
      expect(
        values.get(of)?.filter((v) => v % by !== 0),
        of,
      ).toEqual([]);
    }
  });

  it('of floats and vectors are none', () => {
    const body = [h.define('f', k.f32(8)), h.define('v', k.splat(n(8), 4))];
    expect([...multiplesIn(body)]).toEqual([]);
  });
});

/** Copies `lanes` elements at `place` of x to y, by each of 32 lanes; rows are `width` long. */
const copying = (
  place: readonly Expr[],
  lanes: 2 | 4,
  { width = 64, storage = 'f32' as KernelStorage, space = 'global' as 'global' | 'workgroup' | 'private' } = {},
): Kernel => {
  const shape = [8, width];
  const type = k.vector(storage === 'f32' || storage === 'f16' ? 'f32' : 'i32', lanes);
  const other = space === 'global' ? 'x' : 'm';
  const layout = { layout: rowMajor(2), storage };
  return {
    name: 'copying',
    label: 'copying',
    dims: ['T'],
    faults: [],
    workgroup: { subgroups: 1, lanes: 32 },
    buffers: [
      h.buffer('x', shape, 'global', 'read', layout),
      h.buffer('y', shape, 'global', 'write', layout),
      ...(space === 'global' ? [] : [h.buffer('m', shape, space, 'read_write', layout)]),
    ],
    body: [
      h.workgroups('r', n(8), [
        ...(space === 'global' ? [] : [k.store('m', place, k.load('x', place, type))]),
        k.store('y', place, k.load(other, place, type)),
      ]),
    ],
  };
};
/** Names of the functions that the kernel's body moves vectors by. */
const moves = (kernel: Kernel): readonly string[] => {
  const text = printed(kernel);
  const body = text.slice(text.indexOf('extern "C"'));
  return [
    ...new Set([...body.matchAll(/espalier::((?:f16_)?(?:load|store|each|put)\d)/g)].map((m) => m[1] as string)),
  ].sort();
};

describe('an access in CUDA C', () => {
  const row = name('r');
  const four = k.mul(h.lane, n(4));
  const two = k.mul(h.lane, n(2));

  it.each<[string, Kernel, readonly string[]]>([
    ['of four, at multiples of four', copying([row, four], 4), ['load4', 'store4']],
    ['of two, at multiples of two', copying([row, two], 2), ['load2', 'store2']],
    ['of four, at multiples of two', copying([row, two], 4), ['each4', 'put4']],
    ['of four, one further on', copying([row, k.add(four, n(1))], 4), ['each4', 'put4']],
    ['of two, two further on', copying([row, k.add(four, n(2))], 2), ['load2', 'store2']],
    ['of four, in rows of 66', copying([row, four], 4, { width: 66 }), ['each4', 'put4']],
    ['of two, in rows of 66', copying([row, two], 2, { width: 66 }), ['load2', 'store2']],
    ['of two, in rows of 67', copying([row, two], 2, { width: 67 }), ['each2', 'put2']],
    ['of four, where the first row begins', copying([n(0), n(0)], 4, { width: 67 }), ['load4', 'store4']],
    ['of four, by a dim', copying([row, k.min(h.T, n(60))], 4), ['each4', 'put4']],
    ['of four f16', copying([row, four], 4, { storage: 'f16' }), ['f16_load4', 'f16_store4']],
    ['of four f16, in rows of 66', copying([row, four], 4, { width: 66, storage: 'f16' }), ['f16_each4', 'f16_put4']],
    ['of two f16, in rows of 66', copying([row, two], 2, { width: 66, storage: 'f16' }), ['f16_load2', 'f16_store2']],
    ['of four i32', copying([row, four], 4, { storage: 'i32' }), ['load4', 'store4']],
    ['of four bytes', copying([row, four], 4, { storage: 'i8' }), ['each4', 'put4']],
    ['of four in workgroup memory', copying([row, four], 4, { space: 'workgroup' }), ['load4', 'store4']],
    [
      'of four in workgroup memory in rows of 66',
      copying([row, four], 4, { width: 66, space: 'workgroup' }),
      ['each4', 'put4'],
    ],
    // x and y by one access each; a lane's own registers have no addresses.
    ['of four in registers', copying([row, four], 4, { space: 'private' }), ['each4', 'load4', 'put4', 'store4']],
  ])('%s', (_, kernel, expected) => {
    expect(moves(kernel)).toEqual(expected);
  });

  it('in workgroup memory that vectors touch begins at a multiple of 16 bytes', () => {
    const body = copying([row, four], 4, { space: 'workgroup', width: 66, storage: 'f16' });
    expect(printed(body)).toContain('__shared__ __align__(16) unsigned short m[528];');
  });
});
