/**
 * Which elements of an accumulator a lane holds: the two ways to ask agree for every lane, and both with the PTX manual; how the
 * simulator takes them; what verify refuses.
 */
import { Sizes } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import * as k from '../src/kernel-ir/build.ts';
import { heldAt, heldBy, turnsOf } from '../src/kernel-ir/held.ts';
import type { Expr, HeldTile, Kernel, KernelBuffer, Stmt } from '../src/kernel-ir/types.ts';
import { VerifyError, verify } from '../src/kernel-ir/verify.ts';
import { HELD } from '../src/targets/cuda/tiles.ts';
import { clean } from './support/clean.ts';
import { printed } from './support/cuda-kernels.ts';
import * as h from './support/handwritten.ts';

const { n, name } = h;

/** PTX manual, "Matrix Fragments for mma.m16n8k16 with floating point type": register c_i of a lane, i from 0 to 3. */
const accordingToManual = (lane: number, i: number): { row: number; column: number } => {
  const groupID = lane >> 2;
  const threadIDInGroup = lane % 4;
  return { row: i < 2 ? groupID : groupID + 8, column: threadIDInGroup * 2 + (i & 1) };
};

/** The number an expression of one unknown, `turn` or `lane`, is. */
function numberOf(e: Expr): number {
  if (e.kind === 'literal') return e.value;
  if (e.kind !== 'op') throw new Error(`no value for ${e.kind}`);
  const [a = 0, b = 0] = e.args.map(numberOf);
  const all: Readonly<Record<string, number>> = {
    add: a + b,
    mul: a * b,
    floordiv: Math.floor(a / b),
    mod: a % b,
  };
  const value = all[e.op];
  if (value === undefined) throw new Error(`no value for ${e.op}`);
  return value;
}

const tiles: readonly (readonly [HeldTile, number])[] = [
  [HELD, 32],
  [{ rows: 8, columns: 8, run: 2 }, 32],
  [{ rows: 16, columns: 16, run: 4 }, 32],
  [{ rows: 4, columns: 8, run: 1 }, 32],
  [{ rows: 16, columns: 8, run: 8 }, 16],
  [{ rows: 16, columns: 16, run: 2 }, 8],
];

describe('what a lane holds', () => {
  it('is what the PTX manual says, of every tile of a fragment', () => {
    for (let lane = 0; lane < 32; lane++) {
      const expected = [0, 16].flatMap((r) =>
        [0, 8, 16].flatMap((c) =>
          [0, 1, 2, 3].map((i) => {
            const { row, column } = accordingToManual(lane, i);
            return { row: r + row, column: c + column };
          }),
        ),
      );
      expect(heldBy(HELD, 32, lane, 32, 24), `lane ${lane}`).toEqual(expected);
    }
  });

  it.each(tiles)('%o of %i lanes: one way to ask says what the other does', (tile, lanes) => {
    const turns = turnsOf(tile, lanes);
    expect(Number.isInteger(turns)).toBe(true);
    for (let lane = 0; lane < lanes; lane++) {
      const one = heldBy(tile, lanes, lane, tile.rows, tile.columns);
      const other = Array.from({ length: turns }, (_, turn) => {
        const at = heldAt(tile, lanes, n(lane), n(turn));
        const [row, column] = [numberOf(at.row), numberOf(at.column)];
        return Array.from({ length: tile.run }, (_run, i) => ({ row, column: column + i }));
      }).flat();
      expect(one, `lane ${lane}`).toEqual(other);
    }
  });

  it.each(tiles)('%o of %i lanes: every element is held once', (tile, lanes) => {
    const [rows, columns] = [tile.rows * 2, tile.columns * 3];
    const all = Array.from({ length: lanes }, (_, lane) => heldBy(tile, lanes, lane, rows, columns)).flat();
    const places = all.map(({ row, column }) => row * columns + column).sort((x, y) => x - y);
    expect(places).toEqual(Array.from({ length: rows * columns }, (_, e) => e));
  });
});

const take = (fragment: string, buffer: string, held?: HeldTile): Stmt => ({
  ...{ kind: 'fragment', move: 'take', fragment, buffer, indices: [] },
  ...(held === undefined ? {} : { held }),
});
const load = (fragment: string, buffer: string, ...indices: readonly Expr[]): Stmt => ({
  ...{ kind: 'fragment', move: 'load', fragment, buffer, indices },
});

/** Every subgroup takes a fragment of 32 × 16 of its own from x, and each lane writes down what it has. */
const taking = (held: HeldTile, [subgroups, lanes]: readonly [number, number]): Kernel => {
  const each = (32 * 16) / lanes;
  return {
    name: 'taking',
    label: 'taking',
    dims: [],
    faults: [],
    workgroup: { subgroups, lanes },
    buffers: [
      h.buffer('x', [32 * subgroups, 16]),
      h.buffer('y', [subgroups * lanes, each], 'global', 'write'),
      h.buffer('c', [32, 16], 'subgroup'),
      h.buffer('mine', [each], 'private'),
    ],
    body: [
      h.workgroups('g', n(1), [
        load('c', 'x', k.mul(h.subgroup, n(32)), n(0)),
        take('c', 'mine', held),
        h.serial('e', n(each), [h.put('y', [h.lane, name('e')], h.at('mine', name('e')))]),
      ]),
    ],
  };
};

describe('the simulator', () => {
  it.each([1, 3])('gives the lanes of %i subgroups what the manual says', (subgroups) => {
    const x = Float32Array.from({ length: 32 * 16 * subgroups }, (_, e) => e);
    const kernel = taking(HELD, [subgroups, 32]);
    verify(kernel, 'test');
    const y = clean(kernel, { tensors: { x } }).outputs['y'];
    const expected = Array.from({ length: 32 * subgroups }, (_, lane) =>
      [0, 16].flatMap((r) =>
        [0, 8].flatMap((c) =>
          [0, 1, 2, 3].map((i) => {
            const { row, column } = accordingToManual(lane % 32, i);
            return (Math.floor(lane / 32) * 32 + r + row) * 16 + c + column;
          }),
        ),
      ),
    ).flat();
    expect(y).toEqual(expected);
  });

  it('finds what nobody put into the fragment', () => {
    const kernel = taking(HELD, [1, 32]);
    const [group] = kernel.body;
    if (group?.kind !== 'for') throw new Error('no loop');
    const without = { ...kernel, body: [{ ...group, body: group.body.slice(1) }] };
    expect(() => clean(without, { tensors: { x: new Float32Array(512) } })).toThrow(
      /take|c\b.*(never|nobody|unwritten|not written)/i,
    );
  });
});

describe('verify', () => {
  const problem = (statement: Stmt, buffers: readonly KernelBuffer[] = []): string => {
    const kernel = taking(HELD, [1, 32]);
    const [group] = kernel.body;
    if (group?.kind !== 'for') throw new Error('no loop');
    const [first] = group.body;
    try {
      verify(
        {
          ...kernel,
          buffers: [...kernel.buffers, ...buffers],
          body: [{ ...group, body: [first as Stmt, statement] }],
        },
        'pass',
      );
    } catch (error) {
      if (error instanceof VerifyError) return error.message.replace('after pass, kernel taking: ', '');
      throw error;
    }
    return 'none';
  };
  const notCovered = 'c is taken in tiles that do not cover it';

  it.each<[string, Stmt, readonly KernelBuffer[], string]>([
    ['nothing', take('c', 'mine', HELD), [], 'none'],
    ['elements that nobody says which', take('c', 'mine'), [], notCovered],
    ['tiles that are too high', take('c', 'mine', { ...HELD, rows: 64 }), [], notCovered],
    ['tiles of another width', take('c', 'mine', { ...HELD, columns: 12 }), [], notCovered],
    ['runs that do not fill a row', take('c', 'mine', { ...HELD, run: 3 }), [], notCovered],
    ['rows that lanes do not fill', take('c', 'mine', { rows: 16, columns: 16, run: 8 / 3 }), [], notCovered],
    ['fewer rows than the lanes stand in', take('c', 'mine', { rows: 2, columns: 8, run: 1 }), [], notCovered],
    ['more lanes than a tile has runs for', take('c', 'mine', { rows: 16, columns: 16, run: 16 }), [], notCovered],
    [
      'what lanes share',
      take('c', 'shared', HELD),
      [h.buffer('shared', [16], 'workgroup')],
      "shared is not a lane's own",
    ],
    ['a tensor', take('c', 'y', HELD), [], "y is not a lane's own"],
    ['another fragment', take('c', 'c', HELD), [], 'c is a fragment and has no addresses'],
    ['what is no fragment', take('x', 'mine', HELD), [], 'x is not a fragment'],
    [
      'too few places',
      take('c', 'few', HELD),
      [h.buffer('few', [15], 'private')],
      'few has 15 places for 16 elements of c',
    ],
    [
      'too many places',
      take('c', 'many', HELD),
      [h.buffer('many', [17], 'private')],
      'many has 17 places for 16 elements of c',
    ],
    [
      'places of two axes',
      take('c', 'square', HELD),
      [h.buffer('square', [4, 4], 'private')],
      'square has 16 places for 16 elements of c',
    ],
    [
      'as many places as are asked for when it runs',
      take('c', 'open', HELD),
      [{ ...h.buffer('open', [1], 'private'), shape: [Sizes.dim('T')] }],
      'open has null places for 16 elements of c',
    ],
    [
      'a take that only some lanes come to',
      h.when(k.op('lt', h.lane, n(5)), take('c', 'mine', HELD)),
      [],
      'fragment where lanes of a workgroup part ways',
    ],
  ])('finds %s', (_, statement, buffers, expected) => {
    expect(problem(statement, buffers)).toBe(expected);
  });
});

describe('CUDA', () => {
  const multiplied = (held: HeldTile): Kernel => {
    const kernel = taking(held, [1, 32]);
    const [group] = kernel.body;
    if (group?.kind !== 'for') throw new Error('no loop');
    const [first, ...rest] = group.body as [Stmt, ...Stmt[]];
    const zero = (fragment: string): Stmt => ({ kind: 'fragment', move: 'zero', fragment, buffer: null, indices: [] });
    const product: Stmt = {
      ...{ kind: 'mma', accumulator: 'c', a: 'a', b: 'b' },
      ...{ rows: 32, columns: 16, depth: 16, precision: 'bf16' },
    };
    return {
      ...kernel,
      buffers: [...kernel.buffers, h.buffer('a', [32, 16], 'subgroup'), h.buffer('b', [16, 16], 'subgroup')],
      body: [{ ...group, body: [first, zero('a'), zero('b'), product, ...rest] }],
    };
  };

  it('copies registers in their order', () => {
    expect(printed(multiplied(HELD))).toContain('for (int each = 0; each < 16; ++each) mine[each] = c[each];');
  });

  it('refuses elements that its registers do not hold', () => {
    expect(() => printed(multiplied({ rows: 16, columns: 16, run: 4 }))).toThrow(
      'CUDA, kernel taking: fragment c is taken as no GPU holds it',
    );
  });
});
