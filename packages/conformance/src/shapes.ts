/** Statements in the shapes that strategies look for: dense products, softmax, norms. */
import { pointerWalk } from './descents.ts';
import { access, type Grammar } from './grammar.ts';
import type { Node } from './program.ts';
import { type Index, node, type Scope, type Value } from './values.ts';

const scopeOf = (axes: readonly Index[]): Scope => ({
  indices: axes,
  locals: [],
  volume: axes.reduce((n, a) => n * Math.max(1, a.size.value), 1),
});
const plain = (axes: readonly Index[]): readonly Node[] => axes.map((a) => node('i32', a.name));

/** y[rows…, o] = f(Σ x[rows…, i] · w[o, i] + b[o]), with one sum or two and weights any way round. */
export function addContraction(grammar: Grammar): void {
  const { rng } = grammar;
  const rows = grammar.axes(1 + rng.int(2));
  const column: Index = { name: grammar.indexName(rows), size: grammar.size(true) };
  const axes = [...rows, column];
  const scope = scopeOf(axes);
  if (scope.volume > 6000) return;
  const sum = (): Value | null => {
    const opened = grammar.open(scope, rng.pick([1, 1, 1, 2]));
    if (opened === null) return null;
    const inner = opened.scope.indices.slice(axes.length);
    if (inner.some((i) => !i.size.fixed)) return null;
    const order = rng.chance(0.6) ? [column, ...inner] : [...inner, column];
    const w = grammar.tensor(
      order.map((i) => i.size),
      { role: 'weight' },
    );
    const weight = access(w.name, plain(order), 'f32');
    const left = rng.chance(0.6)
      ? access(grammar.tensor([...rows, ...inner].map((i) => i.size)).name, plain([...rows, ...inner]), 'f32')
      : grammar.leaf({ ...opened.scope, indices: opened.scope.indices.filter((i) => i.name !== column.name) }).node;
    return {
      node: node('f32', `(sum ${opened.binders}: `, node('f32', left, ' * ', weight), ')'),
      magnitude: 16 * opened.extent,
    };
  };
  const first = sum();
  if (first === null) return;
  const second = rng.chance(0.25) ? sum() : null;
  let whole: Value = first;
  if (rng.chance(0.6)) {
    const bias = grammar.leaf({ ...scope, indices: [column] });
    whole = { node: node('f32', '(', whole.node, ' + ', bias.node, ')'), magnitude: whole.magnitude + bias.magnitude };
  }
  whole = grammar.tame(whole, 8);
  if (rng.chance(0.6)) {
    const name = rng.pick(['gelu', 'relu', 'silu', 'tanh', 'sigmoid', 'leaky_relu', 'mish']);
    whole = { node: node('f32', `${name}(`, whole.node, ')'), magnitude: 9 };
  }
  if (second !== null) {
    const other = grammar.tame(second, 4);
    whole = {
      node: node('f32', '(', whole.node, rng.pick([' * ', ' + ', ' - ']), other.node, ')'),
      magnitude: whole.magnitude * (other.magnitude + 1),
    };
  }
  whole = grammar.tame(whole, 16);
  grammar.define(grammar.fresh('v'), axes, whole.node, whole);
}

/** Softmax over the last axis, in three or four statements. */
export function addSoftmax(grammar: Grammar): void {
  const { rng } = grammar;
  const axes = grammar.axes(1 + rng.int(3));
  const last = axes.at(-1) as Index;
  const rows = axes.slice(0, -1);
  const score = grammar.fresh('v');
  const e = grammar.f32(scopeOf(axes), 2);
  grammar.define(score, axes, e.node, e);
  const top = grammar.fresh('v');
  const highest = node('f32', `(max ${last.name} in ${last.size.text}: `, grammar.read(score, plain(axes)).node, ')');
  grammar.define(top, rows, highest, {
    node: highest,
    magnitude: last.size.value === 0 ? Number.POSITIVE_INFINITY : e.magnitude,
  });
  const power = grammar.fresh('v');
  const raised = node(
    'f32',
    'exp(',
    grammar.read(score, plain(axes)).node,
    ' - ',
    grammar.read(top, plain(rows)).node,
    ')',
  );
  grammar.define(power, axes, raised, { node: raised, magnitude: 1 });
  const other = grammar.indexName(rows);
  const total = node(
    'f32',
    `(sum ${other} in ${last.size.text}: `,
    access(power, [...plain(rows), node('i32', other)], 'f32'),
    ')',
  );
  const result = grammar.fresh('v');
  if (rng.chance(0.5)) {
    const sum = grammar.fresh('v');
    grammar.define(sum, rows, total, { node: total, magnitude: last.size.value });
    const ratio = node('f32', grammar.read(power, plain(axes)).node, ' / ', grammar.read(sum, plain(rows)).node);
    grammar.define(result, axes, ratio, { node: ratio, magnitude: 1 });
  } else if (!axes.some((a) => a.name === other)) {
    const ratio = node('f32', grammar.read(power, plain(axes)).node, ' / ', total);
    grammar.define(result, axes, ratio, { node: ratio, magnitude: 1 });
  }
}

/** Rows picked by an i32 result: of data, an argmax or a walk; then the rows as they are, or a product with the picked matrix. */
export function addGather(grammar: Grammar): void {
  const { rng } = grammar;
  const rows = grammar.axes(rng.pick([1, 1, 2]));
  const table = grammar.number(1 + rng.int(8));
  const pick = grammar.fresh('v');
  const any = rng.chance(0.3) ? pointerWalk(grammar, scopeOf(rows)) : grammar.i32(scopeOf(rows), 2);
  const wrapped = node('i32', any.node, ` % ${table.text}`);
  const ids = rng.chance(0.3) ? grammar.argmax(scopeOf(rows), 2, table) : { node: wrapped, magnitude: table.value };
  grammar.define(pick, rows, ids.node, ids);
  const column: Index = { name: grammar.indexName(rows), size: grammar.size(true) };
  const axes = [...rows, column];
  const scope = scopeOf(axes);
  const picked = grammar.read(pick, plain(rows)).node;
  const opened = rng.chance(0.5) ? grammar.open(scope, 1) : null;
  const inner = opened?.scope.indices.at(-1);
  let whole: Value;
  if (opened !== null && inner !== undefined) {
    const order = rng.chance(0.5) ? [inner, column] : [column, inner];
    const w = grammar.tensor([table, ...order.map((i) => i.size)]);
    const x = grammar.tensor([...rows, inner].map((i) => i.size));
    const product = [
      access(x.name, plain([...rows, inner]), 'f32'),
      ' * ',
      access(w.name, [picked, ...plain(order)], 'f32'),
    ];
    whole = { node: node('f32', `(sum ${opened.binders}: `, node('f32', ...product), ')'), magnitude: opened.extent };
  } else {
    const w = grammar.tensor([table, column.size]);
    const other = grammar.leaf(scope);
    whole = {
      node: node('f32', '(', access(w.name, [picked, node('i32', column.name)], 'f32'), ' + ', other.node, ')'),
      magnitude: 1 + other.magnitude,
    };
  }
  const tamed = grammar.tame(whole, 16);
  grammar.define(grammar.fresh('v'), axes, tamed.node, tamed);
}

/** Mean and variance over the last axis, then the normalised value. */
export function addNorm(grammar: Grammar): void {
  const axes = grammar.axes(1 + grammar.rng.int(3));
  const last = axes.at(-1) as Index;
  const rows = axes.slice(0, -1);
  const x = grammar.fresh('v');
  const e = grammar.f32(scopeOf(axes), 2);
  grammar.define(x, axes, e.node, e);
  const at = grammar.read(x, plain(axes)).node;
  const mean = grammar.fresh('v');
  const mean0 = node('f32', `(sum ${last.name} in ${last.size.text}: `, at, `) / max(${last.size.text}, 1)`);
  grammar.define(mean, rows, mean0, { node: mean0, magnitude: e.magnitude });
  const centred = node('f32', '(', at, ' - ', grammar.read(mean, plain(rows)).node, ')');
  const variance = grammar.fresh('v');
  const variance0 = node(
    'f32',
    `(sum ${last.name} in ${last.size.text}: `,
    centred,
    ' * ',
    centred,
    `) / max(${last.size.text}, 1)`,
  );
  grammar.define(variance, rows, variance0, { node: variance0, magnitude: 4 * e.magnitude ** 2 });
  const whole = node('f32', centred, ' / sqrt(', grammar.read(variance, plain(rows)).node, ' + 0.01)');
  grammar.define(grammar.fresh('v'), axes, whole, { node: whole, magnitude: Math.max(1, Math.sqrt(last.size.value)) });
}
