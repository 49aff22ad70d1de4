/** The same layers by hand for a machine of threads with vectors of four: packed panels, several accumulators, no lanes. */
import { rowMajor } from '@espalier/artefact';
import * as k from '../../src/kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../../src/kernel-ir/types.ts';
import * as h from './handwritten.ts';

const { n, name, f, at, put, define, wideAt } = h;
const parts = { dims: ['T'], faults: [] };
const wide = (variable: string): Expr => k.ref(variable, k.vector('f32', 4));
const spread = (e: Expr): Expr => k.splat(e, 4);
const zero = spread(k.f32(0));

/** y = x · wᵀ + b with the weights packed in panels of eight columns: two rows at a time, four accumulators. */
export function denseOnSimd(D: number, O: number): Kernel {
  const panels = [
    { part: 'outer', axis: 0, block: 8 } as const,
    { part: 'whole', axis: 1 } as const,
    { part: 'inner', axis: 0, block: 8 } as const,
  ];
  const tile = [0, 1].flatMap((row) => [0, 4].map((column) => ({ row, column, sum: `sum_${row}_${column}` })));
  const row = (r: number): Expr => k.min(k.add(k.mul(name('step'), n(2)), n(r)), k.sub(h.T, n(1)));
  return {
    ...parts,
    name: 'dense_simd',
    label: 'y[t, o] = (sum i: x[t, i] * w[o, i]) + b[o]',
    buffers: [
      h.buffer('x', ['T', D]),
      h.buffer('w', [O, D], 'global', 'read', { layout: panels }),
      h.buffer('b', [O]),
      h.buffer('y', ['T', O], 'global', 'write'),
    ],
    body: [
      h.grid('step', h.ceildiv(h.T, 2), [
        h.serial(
          'o',
          n(O),
          [
            ...tile.map(({ sum }) => h.variable(sum, zero)),
            h.serial('i', n(D), [
              ...[0, 4].map((column) => define(`w_${column}`, wideAt('w', k.add(name('o'), n(column)), name('i')))),
              ...tile.map((c) =>
                h.set(c.sum, k.op('fma', spread(at('x', row(c.row), name('i'))), wide(`w_${c.column}`), wide(c.sum))),
              ),
            ]),
            h.comment('An odd last row is computed and stored twice.'),
            ...tile.map((c) =>
              put(
                'y',
                [row(c.row), k.add(name('o'), n(c.column))],
                k.add(wide(c.sum), wideAt('b', k.add(name('o'), n(c.column)))),
              ),
            ),
          ],
          8,
        ),
      ]),
    ],
  };
}

/** A tree: one thread walks a token; dot products and outputs go four at a time. */
export function treeOnSimd(D: number, O: number, trees: number, depth: number): Kernel {
  const nodes = 2 ** (depth + 1) - 1;
  const [t, tree, node, i, o] = ['t', 'tree', 'node', 'i', 'o'].map(name) as [Expr, Expr, Expr, Expr, Expr];
  return {
    ...parts,
    name: 'tree_simd',
    label: 'y[t, o] = sum k: descend …',
    buffers: [
      h.buffer('x', ['T', D]),
      h.buffer('w1', [trees, nodes, D]),
      h.buffer('b1', [trees, nodes]),
      h.buffer('w2', [trees, nodes, O]),
      h.buffer('y', ['T', O], 'global', 'write'),
      h.buffer('sums', [O], 'private'),
    ],
    body: [
      h.grid('t', h.T, [
        h.serial('z', n(O), [put('sums', [name('z')], zero)], 4),
        h.serial('tree', n(trees), [
          h.variable('node', n(0)),
          h.serial('level', n(depth + 1), [
            h.variable('dot', zero),
            h.serial(
              'i',
              n(D),
              [h.set('dot', k.op('fma', wideAt('x', t, i), wideAt('w1', tree, node, i), wide('dot')))],
              4,
            ),
            define('s', k.add(k.fold('add', wide('dot')), at('b1', tree, node))),
            define('a', h.gelu(f('s'))),
            h.serial(
              'o',
              n(O),
              [put('sums', [o], k.op('fma', spread(f('a')), wideAt('w2', tree, node, o), wideAt('sums', o)))],
              4,
            ),
            h.set('node', h.plus(k.mul(node, n(2)), n(1), k.op('to_i32', k.op('gt', f('s'), k.f32(0))))),
          ]),
        ]),
        h.serial('out', n(O), [put('y', [t, name('out')], wideAt('sums', name('out')))], 4),
      ]),
    ],
  };
}

/** Softmax attention: one thread a query; the scores of a row stay in private memory as long as the sequence. */
export function attentionOnSimd(heads: number, width: number): Kernel {
  const S = k.dim('S');
  const [b, s, head, r] = ['batch', 's', 'head', 'r'].map(name) as [Expr, Expr, Expr, Expr];
  const overWidth = (index: string, ...body: readonly Stmt[]): Stmt => h.serial(index, n(width), body, 4);
  return {
    ...parts,
    name: 'attention_simd',
    label: 'softmax(q · kᵀ) · v',
    dims: ['B', 'S'],
    buffers: [
      ...['q', 'k', 'v'].map((x) => h.buffer(x, ['B', 'S', heads, width])),
      h.buffer('mask', ['B', 'S'], 'global', 'read', { storage: 'i32' }),
      h.buffer('scale', [1]),
      h.buffer('y', ['B', 'S', heads, width], 'global', 'write'),
      h.buffer('score', ['S'], 'private'),
      { ...h.buffer('sums', [width], 'private'), layout: rowMajor(1) },
    ],
    body: [
      h.grid('query', h.times(k.dim('B'), n(heads), S), [
        define('batch', k.op('floordiv', name('query'), k.mul(n(heads), k.max(S, n(1))))),
        define('head', h.mod(k.op('floordiv', name('query'), k.max(S, n(1))), heads)),
        define('s', k.op('mod', name('query'), k.max(S, n(1)))),
        h.variable('top', k.f32(-Infinity)),
        h.serial('r', S, [
          h.variable('dot', zero),
          overWidth(
            'd',
            h.set(
              'dot',
              k.op('fma', wideAt('q', b, s, head, name('d')), wideAt('k', b, r, head, name('d')), wide('dot')),
            ),
          ),
          define('hidden', k.op('to_f32', k.sub(n(1), h.integerAt('mask', b, r)))),
          define(
            'score_r',
            k.op(
              'fma',
              k.fold('add', wide('dot')),
              at('scale', n(0)),
              k.mul(f('hidden'), k.f32(-3.4028234663852886e38)),
            ),
          ),
          put('score', [r], f('score_r')),
          h.set('top', k.max(f('top'), f('score_r'))),
        ]),
        h.variable('total', k.f32(0)),
        overWidth('z', put('sums', [name('z')], zero)),
        h.serial('key', S, [
          define('p', h.exp(k.sub(at('score', name('key')), f('top')))),
          h.set('total', k.add(f('total'), f('p'))),
          overWidth(
            'o',
            put(
              'sums',
              [name('o')],
              k.op('fma', spread(f('p')), wideAt('v', b, name('key'), head, name('o')), wideAt('sums', name('o'))),
            ),
          ),
        ]),
        overWidth(
          'out',
          put('y', [b, s, head, name('out')], k.op('div', wideAt('sums', name('out')), spread(f('total')))),
        ),
      ]),
    ],
  };
}
