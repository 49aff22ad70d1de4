/** Every way to walk a tree gives the same results, here exactly, on integers: as yields come, afterwards, side by side, in groups. */
import { type LayerIR, layerFromText, standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { lowerLayer } from '../src/compile.ts';
import { wasm } from '../src/index.ts';
import { printKernel } from '../src/kernel-ir/print.ts';
import { verify } from '../src/kernel-ir/verify.ts';
import { visitStatements } from '../src/kernel-ir/walk.ts';
import { groupedWalk } from '../src/lower/grouped-walk.ts';
import { partition, type RowsUnit } from '../src/lower/partition.ts';
import { nodesAfter } from '../src/lower/reachable.ts';
import { hoistableWalks } from '../src/lower/rows.ts';
import { pipelineFor } from '../src/pipeline.ts';
import type { Form, Target } from '../src/target.ts';
import { clean } from './support/clean.ts';
import { integerTensors } from './support/kernels.ts';

const tree = (name: string, sizes: Record<string, number>, options: Record<string, string> = {}): LayerIR =>
  standardLayer(name, { dims: sizes, options: { activation: 'relu', ...options } });

const layers: readonly (readonly [string, LayerIR])[] = [
  ['a tree', tree('fff', { D: 5, O: 7, trees: 1, depth: 4 })],
  ['a tree that goes right at zero', tree('fff', { D: 3, O: 9, trees: 1, depth: 3 }, { rule: 'ge' })],
  ['a tree of two levels', tree('fff', { D: 2, O: 4, trees: 1, depth: 1 })],
  [
    'a tree for each sequence of a batch',
    layerFromText(
      `layer batches(T, S) {
        input x[S, T, 5]
        weight w[15, 5], v[15, 6]
        output y[b, t, o] = 1 + (descend n = 0 for 4 {
          s = sum i: x[b, t, i] * w[n, i]
          yield (s + 2) * v[n, o]
          n <- 2 * n + 1 + (if s > 0 then 1 else 0)
        })
      }`,
      {},
    ),
  ],
];
const forest = tree('fff', { D: 5, O: 7, trees: 3, depth: 2 });

const rows = (together: number, deferred: boolean): Form => ({ form: 'rows', together, deferred });
const grouped = (chunk: number, first: number, together: number, block = 5, alone?: number): Form => ({
  form: 'grouped',
  ...{ chunk, first, block, together },
  ...(alone === undefined ? {} : { alone }),
});
const inForm = (form: Form): Target => ({ ...wasm, variants: () => [{ name: '', from: 0, form }] });

/** The one kernel of a layer in a form, before any pass and just before its places become bytes. */
function kernelsOf(layer: LayerIR, form: Form, capabilities: Record<string, boolean>) {
  const target = inForm(form);
  const all = { ...wasm.defaults, ...capabilities };
  const [only, ...others] = lowerLayer(layer, target, all, {});
  if (only === undefined || others.length > 0) throw new Error(`${others.length + 1} kernels`);
  let finished = only.kernel;
  for (const pass of pipelineFor(target, all, only.schedule)) {
    if (pass.name === 'wasm-addresses') break;
    finished = pass.run(finished);
    verify(finished, pass.name);
  }
  return { lowered: only.kernel, finished };
}

const dims = [
  { T: 0, S: 2 },
  { T: 1, S: 1 },
  { T: 5, S: 2 },
  { T: 23, S: 1 },
] as const;

function compare(layer: LayerIR, forms: readonly Form[]): void {
  const plain = kernelsOf(layer, rows(1, false), {}).lowered;
  for (const form of forms)
    for (const capabilities of [{}, { 'simd-256': true }]) {
      const { lowered, finished } = kernelsOf(layer, form, capabilities);
      for (const sizes of dims) {
        const tensors = integerTensors(plain, sizes, sizes.T + 3);
        const expected = clean(plain, { dims: sizes, tensors });
        const what = `${JSON.stringify(form)}, T = ${sizes.T}`;
        expect(clean(lowered, { dims: sizes, tensors }), `${what}, lowered`).toEqual(expected);
        const found = clean(finished, { dims: sizes, tensors, flattened: true });
        expect(found, `${what}\n${printKernel(finished)}`).toEqual(expected);
      }
    }
}

describe.each(layers)('%s', (_, layer) => {
  it('deferred, alone and side by side', () => compare(layer, [rows(1, true), rows(3, true), rows(4, false)]));
  it('in groups', () =>
    compare(layer, [
      grouped(4, 1, 2),
      grouped(7, 1, 3),
      grouped(64, 1, 4, 16),
      grouped(8, 0, 4, 8),
      grouped(9, 0, 2, 4),
      grouped(9, 1, 3, 9, 1),
      grouped(8, 0, 2, 8, 1),
    ]));
});

describe('a deeper tree', () => {
  const [, deep] = layers[0] as (typeof layers)[number];
  it('in groups after any of its levels', () =>
    compare(
      deep,
      [0, 1, 2, 3, 4].map((first) => grouped(16, first, 2)),
    ));
});

describe('several trees', () => {
  it('are deferred', () => compare(forest, [rows(1, true), rows(3, true)]));
  it('are not walked in groups', () => {
    const [unit] = partition(forest);
    expect(groupedWalk(unit as RowsUnit, 1)).toBe(null);
  });
});

it('sums deferred yields in registers, not in memory', () => {
  const [, layer] = layers[0] as (typeof layers)[number];
  const stored = (form: Form): number => {
    let count = 0;
    visitStatements(kernelsOf(layer, form, {}).lowered.body, (s) => {
      if (s.kind === 'store' && s.buffer.startsWith('walked')) count++;
    });
    return count;
  };
  expect(stored(rows(1, false))).toBeGreaterThan(0);
  expect(stored(rows(1, true))).toBe(0);
});

describe('nodes that can be reached', () => {
  const descentOf = (step: string) => {
    const layer = layerFromText(
      `layer walk(T) {
        input x[T, 3]
        weight w[99, 3]
        output y[t, o in 2] = descend n = 1 for 6 {
          s = sum i: x[t, i] * w[min(n, 98), i]
          right = s > 0
          yield s
          n <- ${step}
        }
      }`,
      {},
    );
    const unit = partition(layer)[0] as RowsUnit;
    const [chain] = hoistableWalks((unit.statements[0] as RowsUnit['statements'][number]).statement, ['o']);
    return (chain as NonNullable<typeof chain>).descent;
  };
  it.each([
    ['2 * n + (if s > 0 then 1 else 0)', 3, { first: 8, count: 8 }],
    ['2 * n + 1 + (if right then 1 else 0)', 2, { first: 7, count: 4 }],
    ['if s > 0 and n < 5 then n + 3 else n', 2, { first: 1, count: 7 }],
    ['if n > 0 then n + 2 else 90', 3, { first: 7, count: 1 }],
  ] as const)('%s', (step, levels, nodes) => expect(nodesAfter(descentOf(step), levels)).toEqual(nodes));
});
