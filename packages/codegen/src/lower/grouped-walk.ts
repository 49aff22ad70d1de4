/**
 * Many walks through one tree, a block of rows at a time and level by level, so that rows share the nodes they meet (`level-walk.ts`).
 * Where rows come by the thousand they are first walked down some levels and sorted by the node they have reached: the rows of
 * a block then have few nodes below to meet, and neighbouring blocks the same above. What the walks yield is computed after
 * them, in that order of rows and, for each row, in the order of its levels: the bits are those of any other way to walk.
 */
import { type LayerIR, type Size, Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import type { Form } from '../target.ts';
import { blockCount } from './blocks.ts';
import { partsApart, yieldLocals } from './deferred-walk.ts';
import { type DescendExpr, lowerExpr, walkLevels } from './expr.ts';
import { mentionsAny, textOf } from './layer-expr.ts';
import { type Block, blockOf, type Saved, walkByLevel } from './level-walk.ts';
import type { RowsUnit } from './partition.ts';
import { type NodeRange, nodesAfter } from './reachable.ts';
import { decodeGrid, hoistableWalks, rowSizes, type WalkChain, whereWanted } from './rows.ts';
import { KernelBuilder, Scope } from './scope.ts';
import { type WalkedRow, writeOutputs } from './walk-outputs.ts';

type Grouped = Extract<Form, { form: 'grouped' }>;

/** A unit that can be walked in groups. */
export interface GroupedWalk {
  readonly statement: Statement;
  readonly rowAxes: readonly number[];
  readonly rest: Statement['axes'];
  readonly chain: WalkChain;
  readonly levels: number;
  readonly nodes: NodeRange;
}

/**
 * How a unit is walked in blocks, sorted after `first` levels (0: not at all): it must be one statement whose only walk is of one tree with a
 * known number of levels, `first` fewer than those, and whose yield depends on nothing but the walk and the output. Null for others.
 */
export function groupedWalk(unit: RowsUnit, first: number): GroupedWalk | null {
  const [member, ...others] = unit.statements;
  if (member === undefined || others.length > 0 || member.rowAxes.length === 0) return null;
  const { statement, rowAxes } = member;
  const rest = statement.axes.filter((_, i) => !rowAxes.includes(i));
  const restNames = new Set(rest.map((a) => a.name));
  const [chain, ...more] = hoistableWalks(statement, [...restNames]);
  if (chain === undefined || more.length > 0 || rest.length === 0) return null;
  const { descent } = chain;
  const levels = Sizes.constantOf(descent.levels);
  const isOneTree = chain.sums.every((s) => Sizes.constantOf(s.size) === 1);
  if (levels === null || levels <= first || first < 0 || !isOneTree || descent.yield === null || descent.type !== 'f32')
    return null;
  const locals = yieldLocals(descent);
  if (locals.some((l) => l.type === 'bool')) return null;
  const rowNames = new Set([
    ...rowAxes.map((axis) => statement.axes[axis]?.name ?? ''),
    ...chain.sums.map((s) => s.name),
  ]);
  const parts = partsApart(descent, restNames);
  if (parts.some((p) => mentionsAny(p, rowNames))) return null;
  const nodes = nodesAfter(descent, first);
  return nodes === null ? null : { statement, rowAxes, rest, chain, levels, nodes };
}

/** Lowers a unit that `groupedWalk` accepts. */
export function lowerGrouped(unit: RowsUnit, layer: LayerIR, form: Grouped, name: string): Kernel {
  const walk = groupedWalk(unit, form.first);
  if (walk === null) throw new Error(`${layer.name}: this unit can't be walked in groups`);
  const kernel = new KernelBuilder(layer);
  const scope = new Scope(kernel);
  const rows = rowSizes(unit);
  const last = rows.at(-1) as Size;
  const extents = [...rows.slice(0, -1).map(k.sizeExpr), blockCount(last, form.chunk)];
  const grid = kernel.names.fresh('step');
  const body = scope.inner();
  const places = decodeGrid(k.index(grid), extents, body);
  const from = kernel.names.fresh('from');
  const count = kernel.names.fresh('count');
  body.emit(
    k.letStmt(from, k.mul(places.at(-1) as Expr, k.i32(form.chunk))),
    k.letStmt(count, k.min(k.i32(form.chunk), k.sub(k.sizeExpr(last), k.index(from)))),
  );
  const { statement, rowAxes, chain } = walk;
  for (const s of chain.sums) body.bind(s.name, k.i32(0));
  new Groups(walk, form, body, {
    count: k.index(count),
    bindRow: (inner, slot) =>
      rowAxes.forEach((axis, row) => {
        const isLast = row === rowAxes.length - 1;
        inner.bind(statement.axes[axis]?.name ?? '', isLast ? k.add(k.index(from), slot) : (places[row] as Expr));
      }),
  }).write();
  const steps = extents.reduce((product, extent) => k.mul(product, extent));
  scope.emit(k.loop(grid, k.i32(0), steps, whereWanted(walk.rest, body.block), { binding: 'grid', label: 'step' }));
  return kernel.finish(name, `descend: ${textOf(layer, statement.span)}`, scope.block);
}

interface Chunk {
  /** Rows of this chunk. */
  readonly count: Expr;
  /** Binds the row axes to the row in place `slot` of the chunk. */
  bindRow(inner: Scope, slot: Expr): void;
}

const int = k.scalar('i32');

/** Writes the phases of one chunk. */
class Groups {
  readonly #walk: GroupedWalk;
  readonly #form: Grouped;
  readonly #body: Scope;
  readonly #rows: Chunk;
  readonly #descent: DescendExpr;
  readonly #block: Block;
  /** The level from which rows walk alone. */
  readonly #alone: number;

  constructor(walk: GroupedWalk, form: Grouped, body: Scope, rows: Chunk) {
    this.#walk = walk;
    this.#form = form;
    this.#body = body;
    this.#rows = rows;
    this.#descent = walk.chain.descent;
    this.#block = blockOf(body, form.block);
    this.#alone = Math.max(form.first, Math.min(form.alone ?? walk.levels, walk.levels));
  }

  write(): void {
    const { first, chunk, block } = this.#form;
    const alone = this.#alone;
    if (first === 0) {
      this.below(this.saved('below', alone, block), null, null, null);
      return;
    }
    const above = this.saved('above', first, chunk);
    const reached = this.ints('reached', chunk);
    const order = this.ints('order', chunk);
    this.above(above, reached);
    this.sort(reached, order);
    this.below(this.saved('below', alone - first, block), above, reached, order);
  }

  /** The first levels, of rows as they come. */
  private above(saved: Saved, reached: string): void {
    const block = this.#block;
    this.overBlocks((scope, from, count) => {
      const slot = (row: Expr): Expr => k.add(from, row);
      walkByLevel(
        {
          descent: this.#descent,
          ...{ from: 0, to: this.#form.first, block, count, saved, label: 'rows', column: slot },
          start: (_, inner) => lowerExpr(this.#descent.init, inner),
          bindRow: (inner, row) => this.#rows.bindRow(inner, slot(row)),
        },
        scope,
      );
      const place = scope.kernel.names.fresh('reached');
      const row = k.load(block.order, [k.index(place)], int);
      scope.emit(
        k.loop(place, k.i32(0), count, [k.store(reached, [slot(row)], k.load(block.node, [k.index(place)], int))]),
      );
      this.finishParts(saved, from, k.add(from, count), scope);
    });
  }

  /** The levels after sorting, or all of them, and the outputs. */
  private below(saved: Saved, above: Saved | null, reached: string | null, order: string | null): void {
    const block = this.#block;
    const { first } = this.#form;
    this.overBlocks((scope, from, count) => {
      const slot = (row: Expr): Expr => {
        const place = k.add(from, row);
        return order === null ? place : k.load(order, [place], int);
      };
      const named = (inner: Scope, row: Expr): Expr => {
        const name = inner.kernel.names.fresh('slot');
        inner.emit(k.letStmt(name, slot(row)));
        return k.index(name);
      };
      walkByLevel(
        {
          descent: this.#descent,
          ...{ from: first, to: this.#alone, block, count, saved, label: 'grouped', column: (row: Expr) => row },
          start: (place, inner) =>
            reached === null ? lowerExpr(this.#descent.init, inner) : k.load(reached, [slot(place)], int),
          bindRow: (inner, row) => this.#rows.bindRow(inner, named(inner, row)),
        },
        scope,
      );
      this.finishParts(saved, k.i32(0), count, scope);
      const apart = this.#alone === this.#walk.levels ? null : this.apart(scope, count, named);
      const parts = [above, saved, apart].filter((part) => part !== null);
      const rowAt = (inner: Scope, place: Expr): WalkedRow => {
        const row = inner.kernel.names.fresh('row');
        inner.emit(k.letStmt(row, k.load(block.order, [place], int)));
        const at = named(inner, k.index(row));
        const columns = new Map([
          [above, at],
          [saved, k.index(row)],
          [apart, place],
        ]);
        return {
          bind: (within) => this.#rows.bindRow(within, at),
          columns: parts.map((part) => columns.get(part) as Expr),
        };
      };
      const { names } = scope.kernel;
      const even = k.mul(k.op('floordiv', count, k.i32(2)), k.i32(2));
      for (const [rows, from, to] of [
        [2, k.i32(0), even],
        [1, even, count],
      ] as const) {
        const place = names.fresh('place');
        const each = scope.inner();
        const walked = Array.from({ length: rows }, (_, i) => rowAt(each, k.add(k.index(place), k.i32(i))));
        writeOutputs(this.#walk, walked, parts, each);
        scope.emit(k.loop(place, from, to, each.block, { step: rows, label: 'outputs' }));
      }
    });
  }

  /** The last levels of a block's rows, each on its own. Gives what they leave, by place in the block's order. */
  private apart(scope: Scope, count: Expr, slotOf: (inner: Scope, row: Expr) => Expr): Saved {
    const saved = this.saved('apart', this.#walk.levels - this.#alone, this.#form.block);
    const place = scope.kernel.names.fresh('place');
    const at = k.index(place);
    const row = scope.inner();
    const own = scope.kernel.names.fresh('row');
    row.emit(k.letStmt(own, k.load(this.#block.order, [at], int)));
    this.#rows.bindRow(row, slotOf(row, k.index(own)));
    const levels = { from: this.#alone, to: this.#walk.levels, start: k.load(this.#block.node, [at], int) };
    walkLevels(this.#descent, row, levels, (node, level) => {
      for (const { name, buffer } of saved.locals)
        node.emit(k.store(buffer, [k.sub(level, k.i32(this.#alone)), at], node.lookup(name)));
    });
    scope.emit(k.loop(place, k.i32(0), count, row.block, { label: 'alone' }));
    this.finishParts(saved, k.i32(0), count, scope);
    return saved;
  }

  /** A loop over the chunk's blocks: `from` which place of the chunk, and how many rows. */
  private overBlocks(fill: (scope: Scope, from: Expr, count: Expr) => void): void {
    const { names } = this.#body.kernel;
    const size = k.i32(this.#form.block);
    const [index, from, count] = ['blocks', 'first', 'size'].map((base) => names.fresh(base)) as [
      string,
      string,
      string,
    ];
    const scope = this.#body.inner();
    scope.emit(
      k.letStmt(from, k.mul(k.index(index), size)),
      k.letStmt(count, k.min(size, k.sub(this.#rows.count, k.index(from)))),
    );
    fill(scope, k.index(from), k.index(count));
    const blocks = k.op('floordiv', k.add(this.#rows.count, k.sub(size, k.i32(1))), size);
    this.#body.emit(k.loop(index, k.i32(0), blocks, scope.block, { label: 'blocks' }));
  }

  private ints(base: string, size: number): string {
    return this.#body.kernel.scratch(base, [Sizes.constant(size)], 'i32');
  }

  private saved(base: string, levels: number, rows: number): Saved {
    const { kernel } = this.#body;
    const shape = [Sizes.constant(levels), Sizes.constant(rows)];
    const rest = new Set(this.#walk.rest.map((a) => a.name));
    const locals = yieldLocals(this.#descent).map(({ name, type }) => {
      const scalar = type === 'i32' ? ('i32' as const) : ('f32' as const);
      return { name, scalar, buffer: kernel.scratch(`${name}_${base}`, shape, scalar) };
    });
    const parts = partsApart(this.#descent, rest).map((part) => ({
      part,
      buffer: kernel.scratch(`yielded_${base}`, shape, 'f32'),
    }));
    return { locals, parts, levels };
  }

  /** Counting sort, in which rows of a group keep their order. */
  private sort(reached: string, order: string): void {
    const { names } = this.#body.kernel;
    const { first, count: groups } = this.#walk.nodes;
    const starts = this.ints('group_starts', groups + 1);
    const loop = (base: string, from: Expr, to: Expr, fill: (index: Expr) => readonly Stmt[]) => {
      const index = names.fresh(base);
      this.#body.emit(k.loop(index, from, to, fill(k.index(index)), { label: base }));
    };
    const groupOf = (slot: Expr): Expr => k.sub(k.load(reached, [slot], int), k.i32(first));
    const group = names.fresh('group');
    const here = names.fresh('place');
    loop('group', k.i32(0), k.i32(groups + 1), (g) => [k.store(starts, [g], k.i32(0))]);
    loop('counted', k.i32(0), this.#rows.count, (slot) => [
      k.letStmt(group, k.add(groupOf(slot), k.i32(1))),
      k.store(starts, [k.index(group)], k.add(k.load(starts, [k.index(group)], int), k.i32(1))),
    ]);
    loop('group', k.i32(1), k.i32(groups + 1), (g) => [
      k.store(starts, [g], k.add(k.load(starts, [g], int), k.load(starts, [k.sub(g, k.i32(1))], int))),
    ]);
    const own = names.fresh('group');
    loop('sorted', k.i32(0), this.#rows.count, (slot) => [
      k.letStmt(own, groupOf(slot)),
      k.letStmt(here, k.load(starts, [k.index(own)], int)),
      k.store(order, [k.index(here)], slot),
      k.store(starts, [k.index(own)], k.add(k.index(here), k.i32(1))),
    ]);
  }

  /** What is dear in the yields, for rows of a level side by side. */
  private finishParts({ locals, parts, levels }: Saved, from: Expr, to: Expr, scope: Scope): void {
    const { names } = scope.kernel;
    if (parts.length === 0) return;
    const level = names.fresh('level');
    const slot = names.fresh('slot');
    const inner = scope.inner();
    const place = [k.index(level), k.index(slot)];
    for (const { name, buffer, scalar } of locals) {
      const local = names.fresh(name);
      inner.emit(k.letStmt(local, k.load(buffer, place, k.scalar(scalar))));
      inner.bind(name, k.ref(local, k.scalar(scalar)));
    }
    for (const { part, buffer } of parts) inner.emit(k.store(buffer, place, lowerExpr(part, inner)));
    const rows = k.loop(slot, from, to, inner.block, { label: 'parts' });
    scope.emit(k.loop(level, k.i32(0), k.i32(levels), [rows], { label: 'level' }));
  }
}
