/**
 * Many walks through one tree on a machine that runs thousands of them at a time: neighbours share what they read only if they
 * take the same path. So rows go down some levels as they come, are sorted by the node they have reached, and go on in that order; what
 * runs at one time then reads few rows of the tree, each of which comes from memory once. A launch does not see what another of its
 * workgroups writes, so it takes four: the levels above, how many rows of each stretch reached which node, where each row's
 * place in the order is (a counting sort, stable), and the levels below with the outputs.
 *
 * What the levels above leave is read back below, and yields are added up in the order of the levels: the bits are those of any other
 * way to walk.
 */
import { type LayerIR, type Size, Sizes, type TensorDecl } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel } from '../kernel-ir/types.ts';
import type { Form } from '../target.ts';
import { deferWalk, yieldLocals } from './deferred-walk.ts';
import { lowerExpr, walkLevels } from './expr.ts';
import { type GroupedWalk, groupedWalk } from './grouped-walk.ts';
import { alphaKey, textOf } from './layer-expr.ts';
import type { RowsUnit } from './partition.ts';
import { decodeGrid, rowSizes } from './rows.ts';
import { KernelBuilder, Scope } from './scope.ts';
import { Team, thread, when, workgroupBarrier } from './team.ts';

type Sorted = Extract<Form, { form: 'sorted' }>;

/** A unit that can be sorted after `first` levels, or null: one that can be walked in groups, with outputs whose number is known. */
export function sortedWalk(unit: RowsUnit, first: number): GroupedWalk | null {
  const walk = first > 0 ? groupedWalk(unit, first) : null;
  return walk?.rest.every((a) => (Sizes.constantOf(a.size) ?? 0) > 0) ? walk : null;
}

/** Bytes of workgroup memory that putting rows in order takes: two numbers of each node to tell apart, the node of each thread's row. */
export const sortingBytes = (nodes: number, threads: number): number => 4 * (2 * nodes + threads);

/** Lowers a unit that `sortedWalk` accepts. The kernels run in order; the last one is called `name`. */
export function lowerSorted(unit: RowsUnit, layer: LayerIR, form: Sorted, name: string): readonly Kernel[] {
  const walk = sortedWalk(unit, form.first);
  if (walk === null) throw new Error(`${layer.name}: this unit's walks can't be sorted`);
  const lowering = new Sorting(unit, walk, layer, form, name);
  return [lowering.above(), lowering.count(), lowering.order(), lowering.below()];
}

const int = k.scalar('i32');

/** The kernels, in order, and what people are told of them. */
const labels = {
  above: 'descend sorted, first levels',
  count: 'descend sorted, rows counted by node',
  order: 'descend sorted, rows put in order',
  below: 'descend sorted, other levels',
} as const;
type Part = keyof typeof labels;

class Sorting {
  readonly #walk: GroupedWalk;
  /** With what the kernels leave for one another among its tensors. */
  readonly #layer: LayerIR;
  readonly #form: Sorted;
  readonly #name: string;
  readonly #rows: readonly Size[];
  /** [rows, first levels + 1]: the nodes of each row above, and the one it then stands at. */
  readonly #nodes: string;
  /** [stretches, nodes]: how many rows of a stretch stand at which node. */
  readonly #counts: string;
  /** [rows]: the rows in the order of their nodes. */
  readonly #order: string;
  /** [rows, first levels]: what a yield needs of the levels above besides nodes, by the name it goes by in the walk. */
  readonly #saved: readonly { readonly local: string; readonly tensor: string; readonly scalar: 'f32' | 'i32' }[];

  constructor(unit: RowsUnit, walk: GroupedWalk, layer: LayerIR, form: Sorted, name: string) {
    this.#walk = walk;
    this.#form = form;
    this.#name = name;
    this.#rows = rowSizes(unit);
    const { names } = new KernelBuilder(layer);
    const rows = Sizes.product(this.#rows);
    const tensors = [...layer.tensors];
    const { span } = walk.statement;
    const workspace = (base: string, shape: TensorDecl['shape'], storage: 'f32' | 'i32'): string => {
      const tensor = names.fresh(`${name}_${base}`);
      tensors.push({ name: tensor, role: 'local', storage, shape, span });
      return tensor;
    };
    const { descent } = walk.chain;
    this.#nodes = workspace(descent.node, [rows, Sizes.constant(form.first + 1)], 'i32');
    this.#counts = workspace('counts', [form.stretches, walk.nodes.count].map(Sizes.constant), 'i32');
    this.#order = workspace('order', [rows], 'i32');
    this.#saved = yieldLocals(descent).flatMap(({ name: local, type }) => {
      if (local === descent.node) return [];
      const scalar = type === 'i32' ? 'i32' : 'f32';
      return { local, tensor: workspace(local, [rows, Sizes.constant(form.first)], scalar), scalar };
    });
    this.#layer = { ...layer, tensors };
  }

  /** The first levels, of rows as they come. */
  above(): Kernel {
    const { descent } = this.#walk.chain;
    return this.perRow('above', 'row', (row, body) => {
      this.bindRow(row, body);
      const node = walkLevels(descent, body, { from: 0, to: this.#form.first, start: null }, (inner, level) => {
        inner.emit(k.store(this.written(inner, this.#nodes), [row, level], inner.lookup(descent.node)));
        for (const saved of this.#saved)
          inner.emit(k.store(this.written(inner, saved.tensor), [row, level], inner.lookup(saved.local)));
      });
      body.emit(k.store(this.written(body, this.#nodes), [row, k.i32(this.#form.first)], node));
    });
  }

  /** How many rows of each stretch stand at which node: a thread a node, which looks at all of them. */
  count(): Kernel {
    return this.perStretch('count', (team, { stretch, from, to }, body) => {
      const counts = this.written(body, this.#counts);
      team.threadsOver('group', this.#walk.nodes.count, body, (inner, group) => {
        const [total, row] = this.fresh(inner, 'total', 'row');
        const isHere = k.op('eq', this.groupOf(k.index(row), inner), group);
        inner.emit(
          k.varStmt(total, k.i32(0)),
          k.loop(row, from, to, [k.assign(total, k.add(k.index(total), k.op('to_i32', isHere)))]),
          k.store(counts, [stretch, group], k.index(total)),
        );
      });
    });
  }

  /** The place of each row in the order: behind rows of lower nodes, and those of its own that come before it. */
  order(): Kernel {
    const groups = this.#walk.nodes.count;
    return this.perStretch('order', (team, { stretch, from, to }, body) => {
      const { kernel } = body;
      const counts = this.read(body, this.#counts);
      const order = this.written(body, this.#order);
      const [totals, starts] = ['totals', 'starts'].map((base) =>
        kernel.scratch(base, [Sizes.constant(groups)], 'i32', 'workgroup'),
      ) as [string, string];
      const keys = kernel.scratch('keys', [Sizes.constant(team.threads)], 'i32', 'workgroup');
      const at = (buffer: string, index: Expr): Expr => k.load(buffer, [index], int);
      // Of its own node, those of earlier stretches …
      team.threadsOver('group', groups, body, (inner, group) => {
        const [total, before, other, here] = this.fresh(inner, 'total', 'before', 'other', 'here');
        const isEarlier = k.op('lt', k.index(other), stretch);
        inner.emit(
          k.varStmt(total, k.i32(0)),
          k.varStmt(before, k.i32(0)),
          k.loop(other, k.i32(0), k.i32(this.#form.stretches), [
            k.letStmt(here, k.load(counts, [k.index(other), group], int)),
            k.assign(total, k.add(k.index(total), k.index(here))),
            k.assign(before, k.add(k.index(before), k.op('select', isEarlier, k.index(here), k.i32(0)))),
          ]),
          k.store(totals, [group], k.index(total)),
          k.store(starts, [group], k.index(before)),
        );
      });
      body.emit(workgroupBarrier);
      // … and all of lower nodes.
      team.threadsOver('group', groups, body, (inner, group) => {
        const [lower, other] = this.fresh(inner, 'lower', 'other');
        const more = k.op('select', k.op('lt', k.index(other), group), at(totals, k.index(other)), k.i32(0));
        inner.emit(
          k.varStmt(lower, at(starts, group)),
          k.loop(other, k.i32(0), k.i32(groups), [k.assign(lower, k.add(k.index(lower), more))]),
          k.store(starts, [group], k.index(lower)),
        );
      });
      body.emit(workgroupBarrier);
      const [first, row, key, rank, other] = this.fresh(body, 'first', 'row', 'key', 'rank', 'other');
      const round = body.inner();
      const isThere = k.op('lt', k.index(row), to);
      const isBefore = k.op(
        'and',
        k.op('lt', k.index(other), thread),
        k.op('eq', at(keys, k.index(other)), k.index(key)),
      );
      round.emit(
        k.letStmt(row, k.add(k.index(first), thread)),
        // A thread without a row stands at no node.
        k.store(keys, [thread], k.i32(-1)),
        when(isThere, [k.store(keys, [thread], this.groupOf(k.index(row), round))]),
        workgroupBarrier,
        when(isThere, [
          k.letStmt(key, at(keys, thread)),
          k.varStmt(rank, k.i32(0)),
          k.loop(other, k.i32(0), k.i32(team.threads), [
            k.assign(rank, k.add(k.index(rank), k.op('to_i32', isBefore))),
          ]),
          k.store(order, [k.add(at(starts, k.index(key)), k.index(rank))], k.index(row)),
        ]),
        workgroupBarrier,
      );
      team.threadsOver('group', groups, round, (inner, group) => {
        const [total, place] = this.fresh(inner, 'total', 'place');
        const isHere = k.op('eq', at(keys, k.index(place)), group);
        inner.emit(
          k.varStmt(total, at(starts, group)),
          k.loop(place, k.i32(0), k.i32(team.threads), [
            k.assign(total, k.add(k.index(total), k.op('to_i32', isHere))),
          ]),
          k.store(starts, [group], k.index(total)),
        );
      });
      round.emit(workgroupBarrier);
      body.emit(k.loop(first, from, to, round.block, { step: team.threads }));
    });
  }

  /** The other levels and the outputs, of rows in their order. */
  below(): Kernel {
    const { statement, rest, chain } = this.#walk;
    const { descent } = chain;
    const { first } = this.#form;
    return this.perRow('below', 'step', (step, body) => {
      const [row, level] = this.fresh(body, 'row', 'level');
      body.emit(k.letStmt(row, k.load(this.read(body, this.#order), [step], int)));
      this.bindRow(k.index(row), body);
      const restNames = new Set(rest.map((a) => a.name));
      // The one tree is bound already.
      const read = deferWalk({ sums: [], descent }, restNames, body, (tree, visit) => {
        const seen = tree.inner();
        seen.bind(descent.node, this.nodeAt(k.index(row), k.index(level), seen));
        for (const saved of this.#saved) {
          const value = k.load(this.read(seen, saved.tensor), [k.index(row), k.index(level)], k.scalar(saved.scalar));
          seen.bind(saved.local, value);
        }
        visit(seen, k.index(level));
        tree.emit(k.loop(level, k.i32(0), k.i32(first), seen.block));
        const start = this.nodeAt(k.index(row), k.i32(first), tree);
        walkLevels(descent, tree, { from: first, to: this.#walk.levels, start }, visit);
      });
      if (read === null) throw new Error(`${this.#layer.name}: these walks can't be deferred`);
      body.loops(rest, (output) => {
        output.cache(alphaKey(chain.whole), read(output));
        const value = lowerExpr(statement.value, output);
        const indices = statement.axes.map((a) => output.lookup(a.name));
        output.emit(k.store(output.kernel.global(statement.target, 'write'), indices, value));
      });
    });
  }

  /** A grid step a row. */
  private perRow(part: Part, grid: string, fill: (step: Expr, body: Scope) => void): Kernel {
    const kernel = new KernelBuilder(this.#layer);
    const scope = new Scope(kernel);
    const name = kernel.names.fresh(grid);
    const body = scope.inner();
    for (const s of this.#walk.chain.sums) body.bind(s.name, k.i32(0));
    fill(k.index(name), body);
    const steps = k.sizeExpr(Sizes.product(this.#rows));
    scope.emit(k.loop(name, k.i32(0), steps, body.block, { binding: 'grid', label: grid }));
    return this.finish(kernel, part, scope);
  }

  /** A workgroup a stretch of neighbouring rows, `from` up to `to`. */
  private perStretch(
    part: Part,
    fill: (team: Team, rows: { readonly stretch: Expr; readonly from: Expr; readonly to: Expr }, body: Scope) => void,
  ): Kernel {
    const { stretches, subgroups, lanes } = this.#form;
    const kernel = new KernelBuilder(this.#layer);
    const scope = new Scope(kernel);
    const body = scope.inner();
    const [stretch, length, from, to] = this.fresh(body, 'stretch', 'length', 'from', 'to');
    const rows = k.sizeExpr(Sizes.product(this.#rows));
    body.emit(
      k.letStmt(length, k.op('floordiv', k.add(rows, k.i32(stretches - 1)), k.i32(stretches))),
      k.letStmt(from, k.mul(k.index(stretch), k.index(length))),
      k.letStmt(to, k.min(k.add(k.index(from), k.index(length)), rows)),
    );
    const team = new Team({ subgroups, lanes, team: lanes }, body);
    fill(team, { stretch: k.index(stretch), from: k.index(from), to: k.index(to) }, body);
    scope.emit(k.loop(stretch, k.i32(0), k.i32(stretches), body.block, { binding: 'workgroup', label: 'stretch' }));
    const finished = this.finish(kernel, part, scope);
    return { ...finished, workgroup: { subgroups, lanes } };
  }

  private finish(kernel: KernelBuilder, part: Part, { block }: Scope): Kernel {
    const name = part === 'below' ? this.#name : `${this.#name}_${part}`;
    return kernel.finish(name, `${labels[part]}: ${textOf(this.#layer, this.#walk.statement.span)}`, block);
  }

  private fresh<const Names extends readonly string[]>(
    scope: Scope,
    ...bases: Names
  ): { readonly [K in keyof Names]: string } {
    return bases.map((base) => scope.kernel.names.fresh(base)) as { readonly [K in keyof Names]: string };
  }

  /** Has the row axes mean the row of this number. */
  private bindRow(row: Expr, scope: Scope): void {
    const { statement, rowAxes } = this.#walk;
    const places = decodeGrid(row, this.#rows.map(k.sizeExpr), scope);
    for (const [i, axis] of rowAxes.entries()) scope.bind(statement.axes[axis]?.name ?? '', places[i] as Expr);
  }

  /** Of the nodes that can be reached after the first levels, the number of the one a row stands at. */
  private groupOf(row: Expr, scope: Scope): Expr {
    return k.sub(this.nodeAt(row, k.i32(this.#form.first), scope), k.i32(this.#walk.nodes.first));
  }

  private nodeAt(row: Expr, level: Expr, scope: Scope): Expr {
    return k.load(this.read(scope, this.#nodes), [row, level], int);
  }

  private read(scope: Scope, tensor: string): string {
    return scope.kernel.global(tensor, 'read');
  }

  private written(scope: Scope, tensor: string): string {
    return scope.kernel.global(tensor, 'write');
  }
}
