/**
 * Many walks through one tree: rows are taken by the thousand, walked down the first levels, sorted by the node they have reached,
 * and walked on in that order, group by group. The nodes near the root are few and stay in the cache; those below one group are
 * few, too, and are read from memory once for all of its rows. What the walks yield is computed after them, in the same order of
 * rows and, for each row, in the order of its levels: the bits are those of any other way to walk.
 */
import { type LayerIR, type Size, Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import type { Form } from '../target.ts';
import { blockCount } from './blocks.ts';
import { partsApart, yieldLocals } from './deferred-walk.ts';
import { type DescendExpr, lowerExpr, walkLevels } from './expr.ts';
import { alphaKey, mentionsAny, textOf } from './layer-expr.ts';
import type { RowsUnit } from './partition.ts';
import { type NodeRange, nodesAfter } from './reachable.ts';
import { decodeGrid, hoistableWalks, rowSizes, type WalkChain } from './rows.ts';
import { KernelBuilder, Scope } from './scope.ts';

type Grouped = Extract<Form, { form: 'grouped' }>;

/** A unit that can be walked in groups. */
interface GroupedWalk {
  readonly statement: Statement;
  readonly rowAxes: readonly number[];
  readonly rest: Statement['axes'];
  readonly chain: WalkChain;
  readonly levels: number;
  readonly nodes: NodeRange;
}

/**
 * How a unit is walked in groups after `first` levels: it must be one statement whose only walk is of one tree with a known number of
 * levels, `first` fewer than those, and whose yield depends on nothing but the walk and the output. Null for others.
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
  if (levels === null || levels <= first || first < 1 || !isOneTree || descent.yield === null || descent.type !== 'f32')
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
export function lowerGrouped(unit: RowsUnit, layer: LayerIR, { chunk, first }: Grouped, name: string): Kernel {
  const walk = groupedWalk(unit, first);
  if (walk === null) throw new Error(`${layer.name}: this unit can't be walked in groups`);
  const kernel = new KernelBuilder(layer);
  const scope = new Scope(kernel);
  const rows = rowSizes(unit);
  const last = rows.at(-1) as Size;
  const extents = [...rows.slice(0, -1).map(k.sizeExpr), blockCount(last, chunk)];
  const grid = kernel.names.fresh('step');
  const body = scope.inner();
  const places = decodeGrid(k.index(grid), extents, body);
  const from = kernel.names.fresh('from');
  const count = kernel.names.fresh('count');
  body.emit(
    k.letStmt(from, k.mul(places.at(-1) as Expr, k.i32(chunk))),
    k.letStmt(count, k.min(k.i32(chunk), k.sub(k.sizeExpr(last), k.index(from)))),
  );
  const { statement, rowAxes, chain } = walk;
  for (const s of chain.sums) body.bind(s.name, k.i32(0));
  new Groups(walk, first, chunk, body, {
    count: k.index(count),
    bindRow: (inner, slot) =>
      rowAxes.forEach((axis, row) => {
        const isLast = row === rowAxes.length - 1;
        inner.bind(statement.axes[axis]?.name ?? '', isLast ? k.add(k.index(from), slot) : (places[row] as Expr));
      }),
  }).write();
  const steps = extents.reduce((product, extent) => k.mul(product, extent));
  scope.emit(k.loop(grid, k.i32(0), steps, body.block, { binding: 'grid', label: 'step' }));
  return kernel.finish(name, `descend: ${textOf(layer, statement.span)}`, scope.block);
}

interface Chunk {
  /** Rows of this chunk. */
  readonly count: Expr;
  /** Binds the row axes to the row in place `slot` of the chunk. */
  bindRow(inner: Scope, slot: Expr): void;
}

/** What one part of the walk leaves for each of its levels and each row, rows side by side. */
interface Saved {
  readonly locals: readonly { readonly name: string; readonly buffer: string; readonly scalar: 'f32' | 'i32' }[];
  readonly parts: readonly { readonly part: Parameters<Scope['substitute']>[0]; readonly buffer: string }[];
  readonly levels: number;
}

/** Writes the phases of one chunk. */
class Groups {
  readonly #walk: GroupedWalk;
  readonly #first: number;
  readonly #chunk: number;
  readonly #body: Scope;
  readonly #rows: Chunk;
  readonly #descent: DescendExpr;

  constructor(walk: GroupedWalk, first: number, chunk: number, body: Scope, rows: Chunk) {
    this.#walk = walk;
    this.#first = first;
    this.#chunk = chunk;
    this.#body = body;
    this.#rows = rows;
    this.#descent = walk.chain.descent;
  }

  write(): void {
    const { levels } = this.#walk;
    const above = this.saved('above', this.#first);
    const below = this.saved('below', levels - this.#first);
    const reached = this.ints('reached', this.#chunk);
    const order = this.ints('order', this.#chunk);
    this.overRows('rows', (row, slot) => {
      const node = walkLevels(this.#descent, row, { from: 0, to: this.#first, start: null }, (at, level) =>
        this.save(above, at, level, slot),
      );
      row.emit(k.store(reached, [slot], node));
    });
    this.sort(reached, order);
    this.overRows('grouped', (row, place) => {
      const slot = this.slotAt(order, place, row);
      this.#rows.bindRow(row, slot);
      const start = k.load(reached, [slot], k.scalar('i32'));
      walkLevels(this.#descent, row, { from: this.#first, to: levels, start }, (at, level) =>
        this.save(below, at, k.sub(level, k.i32(this.#first)), place),
      );
    });
    for (const saved of [above, below]) this.finishParts(saved);
    this.overRows('outputs', (row, place) => this.outputs(row, place, this.slotAt(order, place, row), above, below));
  }

  private ints(base: string, size: number): string {
    return this.#body.kernel.scratch(base, [Sizes.constant(size)], 'i32');
  }

  private saved(base: string, levels: number): Saved {
    const { kernel } = this.#body;
    const shape = [Sizes.constant(levels), Sizes.constant(this.#chunk)];
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

  /** A loop over the rows of the chunk, in which the row axes stand for the row in that place. */
  private overRows(label: string, fill: (row: Scope, slot: Expr) => void): void {
    const slot = this.#body.kernel.names.fresh('slot');
    const row = this.#body.inner();
    this.#rows.bindRow(row, k.index(slot));
    fill(row, k.index(slot));
    this.#body.emit(k.loop(slot, k.i32(0), this.#rows.count, row.block, { label }));
  }

  private slotAt(order: string, place: Expr, row: Scope): Expr {
    const slot = this.#body.kernel.names.fresh('sorted');
    row.emit(k.letStmt(slot, k.load(order, [place], k.scalar('i32'))));
    return k.index(slot);
  }

  private save(saved: Saved, at: Scope, level: Expr, slot: Expr): void {
    for (const { name, buffer } of saved.locals) at.emit(k.store(buffer, [level, slot], at.lookup(name)));
  }

  /** Counting sort, in which rows of a group keep their order. */
  private sort(reached: string, order: string): void {
    const { names } = this.#body.kernel;
    const { first, count: groups } = this.#walk.nodes;
    const starts = this.ints('starts', groups + 1);
    const int = k.scalar('i32');
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
    loop('placed', k.i32(0), this.#rows.count, (slot) => [
      k.letStmt(own, groupOf(slot)),
      k.letStmt(here, k.load(starts, [k.index(own)], int)),
      k.store(order, [k.index(here)], slot),
      k.store(starts, [k.index(own)], k.add(k.index(here), k.i32(1))),
    ]);
  }

  /** What is dear in the yields, for all rows of a level side by side. */
  private finishParts({ locals, parts, levels }: Saved): void {
    const { names } = this.#body.kernel;
    if (parts.length === 0) return;
    const level = names.fresh('level');
    const slot = names.fresh('slot');
    const inner = this.#body.inner();
    const place = [k.index(level), k.index(slot)];
    for (const { name, buffer, scalar } of locals) {
      const local = names.fresh(name);
      inner.emit(k.letStmt(local, k.load(buffer, place, k.scalar(scalar))));
      inner.bind(name, k.ref(local, k.scalar(scalar)));
    }
    for (const { part, buffer } of parts) inner.emit(k.store(buffer, place, lowerExpr(part, inner)));
    const rows = k.loop(slot, k.i32(0), this.#rows.count, inner.block, { label: 'parts' });
    this.#body.emit(k.loop(level, k.i32(0), k.i32(levels), [rows], { label: 'level' }));
  }

  /** The row's outputs: one sum each, over the levels above and then those below. */
  private outputs(row: Scope, place: Expr, slot: Expr, above: Saved, below: Saved): void {
    const { statement, rest, chain } = this.#walk;
    const { kernel } = row;
    this.#rows.bindRow(row, slot);
    row.loops(rest, (output) => {
      const total = kernel.names.fresh('walked');
      const sum = k.ref(total, k.scalar('f32'));
      output.emit(k.varStmt(total, k.f32(0)));
      for (const [saved, column] of [
        [above, slot],
        [below, place],
      ] as const) {
        const level = kernel.names.fresh('level');
        const at = output.inner();
        const from = [k.index(level), column];
        for (const { name, buffer, scalar } of saved.locals) {
          const local = kernel.names.fresh(name);
          at.emit(k.letStmt(local, k.load(buffer, from, k.scalar(scalar))));
          at.bind(name, k.ref(local, k.scalar(scalar)));
        }
        for (const { part, buffer } of saved.parts) at.substitute(part, k.load(buffer, from, k.scalar('f32')));
        at.emit(k.assign(total, k.add(sum, lowerExpr(this.#descent.yield as NonNullable<DescendExpr['yield']>, at))));
        output.emit(k.loop(level, k.i32(0), k.i32(saved.levels), at.block, { label: 'level' }));
      }
      output.cache(alphaKey(chain.whole), sum);
      const value = lowerExpr(statement.value, output);
      const indices = statement.axes.map((a) => output.lookup(a.name));
      output.emit(k.store(kernel.global(statement.target, 'write'), indices, value));
    });
  }
}
