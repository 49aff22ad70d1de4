/**
 * The layers of the tests written by hand for a machine of lanes: workgroups of four subgroups of 32 lanes, shared memory,
 * and matrix units. What a strategy for GPUs should arrive at, in shape if not in tuning.
 */
import * as k from '../../src/kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../../src/kernel-ir/types.ts';
import * as h from './handwritten.ts';

const { n, name, f, at, put, define } = h;
const workgroup = { subgroups: 4, lanes: 32 };
const parts = { dims: ['T'], faults: [], workgroup };

/** The part of a tile that this lane brings to shared memory: `count` elements, 128 at a time. */
function staged(
  index: string,
  count: number,
  width: number,
  element: (row: Expr, column: Expr, names: string) => readonly Stmt[],
): Stmt {
  const [row, column] = [`${index}_row`, `${index}_column`];
  const place = k.add(k.mul(name(index), n(128)), h.lane);
  return h.serial(index, n(count / 128), [
    define(row, h.div(place, width)),
    define(column, h.mod(place, width)),
    ...element(name(row), name(column), index),
  ]);
}

/** An element of a matrix, zero outside of it: the address is clamped, since both sides of a select are evaluated. */
function inside(matrix: string, row: Expr, rows: Expr, column: Expr, columns: Expr): Expr {
  const clamp = (i: Expr, size: Expr): Expr => k.min(i, k.sub(size, n(1)));
  const within = k.op('and', h.less(row, rows), h.less(column, columns));
  return k.op('select', within, at(matrix, clamp(row, rows), clamp(column, columns)), k.f32(0));
}

/** y = x · wᵀ + b. A workgroup makes 16 rows of 32 columns; a subgroup four of the rows; a lane one column of each. */
export function denseOnLanes(D: number, O: number): Kernel {
  const rows = [0, 1, 2, 3].map((r) => k.add(h.subgroup, n(4 * r)));
  const sums = rows.map((_, r) => `sum_${r}`);
  return {
    ...parts,
    name: 'dense_lanes',
    label: 'y[t, o] = (sum i: x[t, i] * w[o, i]) + b[o]',
    buffers: [
      h.buffer('x', ['T', D]),
      h.buffer('w', [O, D]),
      h.buffer('b', [O]),
      h.buffer('y', ['T', O], 'global', 'write'),
      h.buffer('x_tile', [16, 8], 'workgroup'),
      h.buffer('w_tile', [32, 8], 'workgroup'),
    ],
    body: [
      h.workgroups('tile', k.mul(h.ceildiv(h.T, 16), h.ceildiv(n(O), 32)), [
        define('row', k.mul(h.div(name('tile'), Math.ceil(O / 32)), n(16))),
        define('column', k.mul(h.mod(name('tile'), Math.ceil(O / 32)), n(32))),
        ...sums.map((s) => h.variable(s, k.f32(0))),
        h.serial(
          'depth',
          n(D),
          [
            staged('xs', 128, 8, (r, c) => [
              put('x_tile', [r, c], inside('x', k.add(name('row'), r), h.T, k.add(name('depth'), c), n(D))),
            ]),
            staged('ws', 256, 8, (r, c) => [
              put('w_tile', [r, c], inside('w', k.add(name('column'), r), n(O), k.add(name('depth'), c), n(D))),
            ]),
            h.barrier,
            h.serial('i', n(8), [
              define('w_i', at('w_tile', h.subgroupLane, name('i'))),
              ...rows.map((r, s) =>
                h.set(sums[s] as string, k.op('fma', at('x_tile', r, name('i')), f('w_i'), f(sums[s] as string))),
              ),
            ]),
            h.comment('The next tile may be written when everybody has read this one.'),
            h.barrier,
          ],
          8,
        ),
        define('o', k.add(name('column'), h.subgroupLane)),
        h.when(
          h.less(name('o'), n(O)),
          ...rows.map((r, s) =>
            h.when(
              h.less(k.add(name('row'), r), h.T),
              put('y', [k.add(name('row'), r), name('o')], k.add(f(sums[s] as string), at('b', name('o')))),
            ),
          ),
        ),
      ]),
    ],
  };
}

/** The same by matrix units: a workgroup makes 32 by 32, each of its subgroups one quarter, 8 of the depth at a time. */
export function denseOnMatrixUnits(D: number, O: number): Kernel {
  const top = k.mul(h.div(h.subgroup, 2), n(16));
  const left = k.mul(h.mod(h.subgroup, 2), n(16));
  const fragment = (move: 'load' | 'store', which: string, buffer: string, ...indices: readonly Expr[]): Stmt => ({
    kind: 'fragment',
    move,
    fragment: which,
    buffer,
    indices,
  });
  return {
    ...parts,
    name: 'dense_matrix_units',
    label: 'y[t, o] = (sum i: x[t, i] * w[o, i]) + b[o]',
    buffers: [
      h.buffer('x', ['T', D]),
      h.buffer('w', [O, D]),
      h.buffer('b', [O]),
      h.buffer('y', ['T', O], 'global', 'write'),
      h.buffer('x_tile', [32, 8], 'workgroup'),
      h.buffer('w_tile', [8, 32], 'workgroup'),
      h.buffer('y_tile', [32, 32], 'workgroup'),
      h.buffer('a', [16, 8], 'subgroup'),
      h.buffer('bt', [8, 16], 'subgroup'),
      h.buffer('c', [16, 16], 'subgroup'),
    ],
    body: [
      h.workgroups('tile', k.mul(h.ceildiv(h.T, 32), h.ceildiv(n(O), 32)), [
        define('row', k.mul(h.div(name('tile'), Math.ceil(O / 32)), n(32))),
        define('column', k.mul(h.mod(name('tile'), Math.ceil(O / 32)), n(32))),
        { kind: 'fragment', move: 'zero', fragment: 'c', buffer: null, indices: [] },
        h.serial(
          'depth',
          n(D),
          [
            staged('xs', 256, 8, (r, c) => [
              put('x_tile', [r, c], inside('x', k.add(name('row'), r), h.T, k.add(name('depth'), c), n(D))),
            ]),
            staged('ws', 256, 8, (r, c) => [
              put('w_tile', [c, r], inside('w', k.add(name('column'), r), n(O), k.add(name('depth'), c), n(D))),
            ]),
            h.barrier,
            fragment('load', 'a', 'x_tile', top, n(0)),
            fragment('load', 'bt', 'w_tile', n(0), left),
            { kind: 'mma', accumulator: 'c', a: 'a', b: 'bt', rows: 16, columns: 16, depth: 8, precision: 'tf32' },
            h.barrier,
          ],
          8,
        ),
        fragment('store', 'c', 'y_tile', top, left),
        h.barrier,
        staged('ys', 1024, 32, (r, c) => [
          h.when(
            k.op('and', h.less(k.add(name('row'), r), h.T), h.less(k.add(name('column'), c), n(O))),
            put(
              'y',
              [k.add(name('row'), r), k.add(name('column'), c)],
              k.add(at('y_tile', r, c), at('b', k.add(name('column'), c))),
            ),
          ),
        ]),
      ]),
    ],
  };
}

/** A tree: a subgroup owns a token, its lanes share the dot product and the outputs; all levels and trees in one launch. */
export function treeOnLanes(D: number, O: number, trees: number, depth: number): Kernel {
  const nodes = 2 ** (depth + 1) - 1;
  const slot = h.div(name('o'), 32);
  const [tree, node] = [name('tree'), name('node')];
  return {
    ...parts,
    name: 'tree_lanes',
    label: 'y[t, o] = sum k: descend …',
    buffers: [
      h.buffer('x', ['T', D]),
      h.buffer('w1', [trees, nodes, D]),
      h.buffer('b1', [trees, nodes]),
      h.buffer('w2', [trees, nodes, O]),
      h.buffer('y', ['T', O], 'global', 'write'),
      h.buffer('sums', [Math.ceil(O / 32)], 'private'),
    ],
    body: [
      h.workgroups('group', h.ceildiv(h.T, 4), [
        define('t', k.add(k.mul(name('group'), n(4)), h.subgroup)),
        h.comment('A subgroup without a token rests as a whole: its lanes still agree.'),
        h.when(
          h.less(name('t'), h.T),
          h.serial('z', n(Math.ceil(O / 32)), [put('sums', [name('z')], k.f32(0))]),
          h.serial('tree', n(trees), [
            h.variable('node', n(0)),
            h.serial('level', n(depth + 1), [
              h.variable('part', k.f32(0)),
              h.lanes('i', n(D), [
                h.set('part', k.op('fma', at('x', name('t'), name('i')), at('w1', tree, node, name('i')), f('part'))),
              ]),
              define('s', k.add(h.foldLanes('add', f('part')), at('b1', tree, node))),
              define('a', h.gelu(f('s'))),
              h.lanes('o', n(O), [
                put('sums', [slot], k.op('fma', f('a'), at('w2', tree, node, name('o')), at('sums', slot))),
              ]),
              h.set('node', h.plus(k.mul(node, n(2)), n(1), k.op('to_i32', k.op('gt', f('s'), k.f32(0))))),
            ]),
          ]),
          h.lanes('out', n(O), [put('y', [name('t'), name('out')], at('sums', h.div(name('out'), 32)))]),
        ),
      ]),
    ],
  };
}

/** Softmax attention: a subgroup owns a query. Keys come 32 at a time, a lane scores one; then lanes take the outputs. */
export function attentionOnLanes(heads: number, width: number): Kernel {
  const [b, s, head] = [name('batch'), name('s'), name('head')];
  const slots = Math.ceil(width / 32);
  const S = k.dim('S');
  const query = k.add(k.mul(name('group'), n(4)), h.subgroup);
  return {
    ...parts,
    name: 'attention_lanes',
    label: 'softmax(q · kᵀ) · v',
    dims: ['B', 'S'],
    buffers: [
      ...['q', 'k', 'v'].map((x) => h.buffer(x, ['B', 'S', heads, width])),
      h.buffer('mask', ['B', 'S'], 'global', 'read', { storage: 'i32' }),
      h.buffer('scale', [1]),
      h.buffer('y', ['B', 'S', heads, width], 'global', 'write'),
      h.buffer('sums', [slots], 'private'),
    ],
    body: [
      h.workgroups('group', h.ceildiv(h.times(k.dim('B'), n(heads), S), 4), [
        define('query', query),
        define('batch', k.op('floordiv', name('query'), k.mul(n(heads), k.max(S, n(1))))),
        define('head', h.mod(k.op('floordiv', name('query'), k.max(S, n(1))), heads)),
        define('s', k.op('mod', name('query'), k.max(S, n(1)))),
        h.when(
          h.less(b, k.dim('B')),
          h.variable('top', k.f32(-Infinity)),
          h.variable('total', k.f32(0)),
          h.serial('z', n(slots), [put('sums', [name('z')], k.f32(0))]),
          h.serial(
            'block',
            S,
            [
              define('key', k.add(name('block'), h.subgroupLane)),
              h.variable('score', k.f32(-Infinity)),
              h.when(
                h.less(name('key'), S),
                h.variable('dot', k.f32(0)),
                h.serial('d', n(width), [
                  h.set(
                    'dot',
                    k.op('fma', at('q', b, s, head, name('d')), at('k', b, name('key'), head, name('d')), f('dot')),
                  ),
                ]),
                define('hidden', k.op('to_f32', k.sub(n(1), h.integerAt('mask', b, name('key'))))),
                h.set(
                  'score',
                  k.op('fma', f('dot'), at('scale', n(0)), k.mul(f('hidden'), k.f32(-3.4028234663852886e38))),
                ),
              ),
              define('higher', k.max(f('top'), h.foldLanes('max', f('score')))),
              define('shrink', h.exp(k.sub(f('top'), f('higher')))),
              define('p', h.exp(k.sub(f('score'), f('higher')))),
              h.set('total', k.op('fma', f('total'), f('shrink'), h.foldLanes('add', f('p')))),
              h.set('top', f('higher')),
              h.serial('c', n(slots), [put('sums', [name('c')], k.mul(at('sums', name('c')), f('shrink')))]),
              h.serial('r', k.min(n(32), k.sub(S, name('block'))), [
                define('p_r', h.fromLane(f('p'), name('r'))),
                h.lanes('o', n(width), [
                  put(
                    'sums',
                    [h.div(name('o'), 32)],
                    k.op(
                      'fma',
                      f('p_r'),
                      at('v', b, k.add(name('block'), name('r')), head, name('o')),
                      at('sums', h.div(name('o'), 32)),
                    ),
                  ),
                ]),
              ]),
            ],
            32,
          ),
          h.lanes('out', n(width), [
            put('y', [b, s, head, name('out')], k.op('div', at('sums', h.div(name('out'), 32)), f('total'))),
          ]),
        ),
      ]),
    ],
  };
}
