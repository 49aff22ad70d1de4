/**
 * Few rows, each walked by a whole workgroup. A walk is a chain: what is read next depends on what was just decided, and a machine
 * that has only a few rows spends the walk waiting for memory. So a round takes several levels at once: its teams compute
 * every node of the subtree below the node that has been reached, all of them together, and the route then goes down through
 * what was decided in workgroup memory. What the route yields is computed after the last round: all nodes are known, none of
 * its reads waits for another, and all threads share the outputs.
 *
 * A round of L levels computes 2^L - 1 nodes of which the route visits L: for 3 levels 7/3 of the arithmetic and of the rows that
 * decide, for a third of the memory latencies; what is yielded costs the same as in a plain walk. Sums are added up in the
 * order of the trees and levels, as in every form.
 */
import { type Expr as LayerExpr, type LayerIR, type Size, Sizes, type Statement } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import type { Form } from '../target.ts';
import { lowerExpr, record } from './expr.ts';
import { alphaKey, mentionsAny, textOf } from './layer-expr.ts';
import type { RowStatement, RowsUnit } from './partition.ts';
import { decodeGrid, rowSizes } from './rows.ts';
import { KernelBuilder, Scope } from './scope.ts';
import { planSubtrees, restOf, type SubtreeWalk } from './subtrees-plan.ts';
import { reductionsIn, Team, thread, when, workgroupBarrier } from './team.ts';

type Axis = Statement['axes'][number];

/** Lowers a unit that `planSubtrees` accepts. `exported`: tensors that must reach memory. */
export function lowerSubtrees(
  unit: RowsUnit,
  layer: LayerIR,
  exported: ReadonlySet<string>,
  form: Extract<Form, { form: 'subtrees' }>,
  name: string,
): Kernel {
  const plan = planSubtrees(unit);
  if (plan === null) throw new Error(`${name}: a unit that can't be walked by subtrees was given that form`);
  const kernel = new KernelBuilder(layer);
  const scope = new Scope(kernel);
  const grid = kernel.names.fresh('row');
  const body = scope.inner();
  const rows = rowSizes(unit);
  const places = decodeGrid(k.index(grid), rows.map(k.sizeExpr), body);
  const team = new Team(form, body);
  unit.statements.forEach((member, i) => {
    const isLast = i === unit.statements.length - 1;
    lowerMember(member, { walks: plan[i] ?? [], levels: form.levels, places, exported, isLast }, team, body);
  });
  const steps = k.sizeExpr(Sizes.product(rows));
  scope.emit(k.loop(grid, k.i32(0), steps, body.block, { binding: 'workgroup', label: 'row' }));
  const text = unit.statements.map((m) => textOf(layer, m.statement.span)).join('; ');
  const finished = kernel.finish(name, `descend by subtrees: ${text}`, scope.block);
  return { ...finished, workgroup: { subgroups: form.subgroups, lanes: form.lanes } };
}

interface Member {
  readonly walks: readonly SubtreeWalk[];
  readonly levels: number;
  readonly places: readonly Expr[];
  readonly exported: ReadonlySet<string>;
  readonly isLast: boolean;
}

function lowerMember(member: RowStatement, at: Member, team: Team, body: Scope): void {
  const { statement: s, rowAxes } = member;
  const { kernel } = body;
  rowAxes.forEach((axis, row) => {
    body.bind(s.axes[axis]?.name ?? '', at.places[row] as Expr);
  });
  const rest = restOf(member);
  const restNames = new Set(rest.map((a) => a.name));
  const taken = at.walks.map((walk) => ({ walk, read: takeWalk(walk, at.levels, team, body) }));
  // Sums that are the same for all elements.
  team.reduceIn(s.value, body, (fold) => !mentionsAny(fold, restNames));
  const valueIn = (inner: Scope): Expr => {
    for (const { walk, read } of taken) inner.cache(alphaKey(walk.whole), read(inner));
    return lowerExpr(s.value, inner);
  };
  const isExported = at.exported.has(s.target);
  if (rest.length === 0) {
    const value = valueIn(body);
    const name = kernel.names.fresh(s.target);
    const result = k.ref(name, value.type);
    body.emit(k.letStmt(name, value));
    body.provide(s.target, { kind: 'value', expr: result });
    if (!isExported) return;
    const indices = s.axes.map((a) => body.lookup(a.name));
    body.emit(when(k.op('eq', thread, k.i32(0)), [k.store(kernel.global(s.target, 'write'), indices, result)]));
    return;
  }
  const storage = kernel.tensor(s.target).storage === 'i32' ? 'i32' : 'f32';
  const shape = rest.map((a) => a.size);
  const target = isExported ? kernel.global(s.target, 'write') : kernel.scratch(s.target, shape, storage, 'workgroup');
  const store = (inner: Scope, value: Expr): Stmt => {
    const indices = (isExported ? s.axes : rest).map((a) => inner.lookup(a.name));
    return k.store(target, indices, value);
  };
  const count = constant(Sizes.product(shape));
  // Few elements that are long sums: a team for each.
  const sums = reductionsIn(s.value).filter((r) => mentionsAny(r, restNames));
  const isLong = sums.some((r) => (Sizes.constantOf(Sizes.product(r.indices.map((i) => i.size))) ?? Infinity) >= 32);
  if (taken.length === 0 && isLong && count * 2 < team.threads) {
    team.teamsOver('element', count, body, (inner, element) => {
      bindPlaces(rest, element, inner);
      team.reduceIn(s.value, inner);
      return [store(inner, valueIn(inner))];
    });
  } else
    team.threadsOver('element', count, body, (inner, element) => {
      bindPlaces(rest, element, inner);
      inner.emit(store(inner, valueIn(inner)));
    });
  if (!isExported) {
    const axes = s.axes.map((_, i) => i).filter((i) => !rowAxes.includes(i));
    body.provide(s.target, { kind: 'memory', buffer: target, axes });
  }
  if (!at.isLast) body.emit(workgroupBarrier);
}

const constant = (size: Size): number => Sizes.constantOf(size) ?? 0;

/** Has the indices of these ranges, last one fastest, mean the place `at` of their product. */
function bindPlaces(ranges: readonly Axis[], at: Expr, scope: Scope): void {
  let inside = 1;
  [...ranges].reverse().forEach((range, i) => {
    const size = constant(range.size);
    const quotient = k.op('floordiv', at, k.i32(inside));
    scope.bind(range.name, i === ranges.length - 1 ? quotient : k.op('mod', quotient, k.i32(size)));
    inside *= size;
  });
}

/** Writes a walk into `body`, to its end. Gives what writes its value, for one output of the statement, into that output's scope. */
function takeWalk(walk: SubtreeWalk, levels: number, team: Team, body: Scope): (output: Scope) => Expr {
  return new Walker(walk, levels, team, body).take();
}

/** Values that a let takes, kept in workgroup memory; truths as 0 and 1. */
interface Kept {
  readonly name: string;
  readonly isTruth: boolean;
  readonly type: 'f32' | 'i32';
  /** [trees, nodes of a round] and [trees, levels]. */
  readonly found: string;
  readonly route: string;
}

class Walker {
  readonly #walk: SubtreeWalk;
  readonly #team: Team;
  readonly #body: Scope;
  /** Levels of the highest round. */
  readonly #height: number;
  /** The node each tree's walk has reached. */
  readonly #reached: string;
  /** [trees, nodes of a round]: which way each decides. */
  readonly #ways: string;
  /** [trees, levels]: the nodes visited; null when nobody asks. */
  readonly #route: string | null;
  readonly #kept: readonly Kept[];
  readonly #apart: readonly { readonly part: LayerExpr; readonly buffer: string }[];

  constructor(walk: SubtreeWalk, levels: number, team: Team, body: Scope) {
    this.#walk = walk;
    this.#team = team;
    this.#body = body;
    const rounds = Math.ceil(walk.levels / Math.min(levels, walk.levels));
    this.#height = Math.ceil(walk.levels / rounds);
    const { descent } = walk;
    const memory = (base: string, per: number | null, type: 'f32' | 'i32'): string => {
      const shape = (per === null ? [walk.trees] : [walk.trees, per]).map(Sizes.constant);
      return body.kernel.scratch(base, shape, type, 'workgroup');
    };
    const nodes = 2 ** this.#height - 1;
    this.#reached = memory('reached', null, 'i32');
    this.#ways = memory('ways', nodes, 'i32');
    this.#route = walk.keepsNodes ? memory('route', walk.levels, 'i32') : null;
    this.#kept = walk.kept.map(({ name, value }) => {
      const type = value.type === 'f32' ? 'f32' : 'i32';
      const [found, route] = [memory(`${name}_found`, nodes, type), memory(`${name}_at`, walk.levels, type)];
      return { name, isTruth: value.type === 'bool', type, found, route };
    });
    this.#apart =
      descent.yield === null ? [] : walk.apart.map((part) => ({ part, buffer: memory('yielded', walk.levels, 'f32') }));
  }

  take(): (output: Scope) => Expr {
    const { descent, levels, trees } = this.#walk;
    const body = this.#body;
    this.#team.threadsOver('tree', trees, body, (inner, tree) => {
      bindPlaces(this.#walk.sums, tree, inner);
      inner.emit(k.store(this.#reached, [tree], lowerExpr(descent.init, inner)));
    });
    body.emit(workgroupBarrier);
    // Rounds as even as they can be, the higher ones first.
    const rounds = Math.ceil(levels / this.#height);
    const lower = rounds * this.#height - levels;
    this.rounds(rounds - lower, this.#height, 0);
    this.rounds(lower, this.#height - 1, (rounds - lower) * this.#height);
    this.finish();
    return descent.result === null ? (output) => this.sum(output) : this.result(descent.result);
  }

  /** Rounds of one height, the first of which begins at level `from`. */
  private rounds(count: number, height: number, from: number): void {
    if (count === 0) return;
    const { names } = this.#body.kernel;
    const round = names.fresh('round');
    const inner = this.#body.inner();
    this.evaluate(height, inner);
    inner.emit(workgroupBarrier);
    const first = count === 1 ? k.i32(from) : k.add(k.mul(k.index(round), k.i32(height)), k.i32(from));
    this.descend(height, first, inner);
    inner.emit(workgroupBarrier);
    if (count === 1) this.#body.emit(...inner.block);
    else this.#body.emit(k.loop(round, k.i32(0), k.i32(count), inner.block));
  }

  /** Every node of the subtrees below the nodes reached, a team for each: its lets and which way it decides. */
  private evaluate(height: number, scope: Scope): void {
    const { descent, trees, decision } = this.#walk;
    const nodes = 2 ** height - 1;
    this.#team.teamsOver('item', trees * nodes, scope, (inner, item) => {
      const { names } = inner.kernel;
      const named = (base: string, value: Expr): Expr => {
        const name = names.fresh(base);
        inner.emit(k.letStmt(name, value));
        return k.ref(name, value.type);
      };
      const tree = trees === 1 ? k.i32(0) : named('tree', k.op('floordiv', item, k.i32(nodes)));
      const place = trees === 1 ? item : named('place', k.op('mod', item, k.i32(nodes)));
      bindPlaces(this.#walk.sums, tree, inner);
      // The digits of place + 1 below its first are the ways from the subtree's root to this node.
      let node = named(descent.node, k.load(this.#reached, [tree], k.scalar('i32')));
      for (let level = 1; level < height; level++) {
        const below = height - 1 - level;
        const number = k.add(place, k.i32(1));
        const digits = below === 0 ? number : k.op('shr_s', number, k.i32(below));
        const child = this.child(node, k.op('ne', k.op('bit_and', digits, k.i32(1)), k.i32(0)), inner);
        node = named(descent.node, k.op('select', k.op('gt', digits, k.i32(1)), child, node));
      }
      inner.bind(descent.node, node);
      for (const { name, value } of descent.lets) {
        this.#team.reduceIn(value, inner);
        inner.bind(name, named(name, lowerExpr(value, inner)));
      }
      const decided = decision[0] as LayerExpr;
      this.#team.reduceIn(decided, inner);
      const way = k.op('to_i32', lowerExpr(decided, inner));
      return [
        k.store(this.#ways, [tree, place], way),
        ...this.#kept.map(({ name, isTruth, found }) => {
          const value = inner.lookup(name);
          return k.store(found, [tree, place], isTruth ? k.op('to_i32', value) : value);
        }),
      ];
    });
  }

  /** The routes go down through what was decided, a thread for each tree. */
  private descend(height: number, first: Expr, scope: Scope): void {
    const { descent, trees } = this.#walk;
    this.#team.threadsOver('tree', trees, scope, (inner, tree) => {
      const { names } = inner.kernel;
      const [node, place, step, way] = [descent.node, 'place', 'step', 'way'].map((n) => names.fresh(n)) as [
        string,
        string,
        string,
        string,
      ];
      const level = inner.inner();
      const at = k.add(first, k.index(step));
      level.emit(
        k.letStmt(way, k.load(this.#ways, [tree, k.index(place)], k.scalar('i32'))),
        ...(this.#route === null ? [] : [k.store(this.#route, [tree, at], k.index(node))]),
        ...this.#kept.map(({ type, found, route }) =>
          k.store(route, [tree, at], k.load(found, [tree, k.index(place)], k.scalar(type))),
        ),
      );
      bindPlaces(this.#walk.sums, tree, level);
      level.emit(
        k.assign(node, this.child(k.index(node), k.op('ne', k.index(way), k.i32(0)), level)),
        k.assign(place, k.add(k.add(k.mul(k.index(place), k.i32(2)), k.i32(1)), k.index(way))),
      );
      inner.emit(
        k.varStmt(node, k.load(this.#reached, [tree], k.scalar('i32'))),
        k.varStmt(place, k.i32(0)),
        k.loop(step, k.i32(0), k.i32(height), level.block),
        k.store(this.#reached, [tree], k.index(node)),
      );
    });
  }

  /** Where a node leads to when its decision is `way`. */
  private child(node: Expr, way: Expr, scope: Scope): Expr {
    const { descent, decision } = this.#walk;
    const inner = scope.inner();
    inner.bind(descent.node, node);
    for (const place of decision) inner.substitute(place, way);
    const child = lowerExpr(descent.next, inner);
    scope.emit(...inner.block);
    return child;
  }

  /** What is recorded of the routes, and what of their yields is the same for all outputs, each level by a thread. */
  private finish(): void {
    const { descent, trees, levels } = this.#walk;
    const { trace } = descent;
    if (trace === null && this.#apart.length === 0) return;
    this.#team.threadsOver('visited', trees * levels, this.#body, (inner, visited) => {
      const tree = trees === 1 ? k.i32(0) : k.op('floordiv', visited, k.i32(levels));
      const level = trees === 1 ? visited : k.op('mod', visited, k.i32(levels));
      this.bindVisited(tree, level, inner);
      if (trace !== null) record(descent, trace, level, inner);
      for (const { part, buffer } of this.#apart) inner.emit(k.store(buffer, [tree, level], lowerExpr(part, inner)));
    });
    if (this.#apart.length > 0) this.#body.emit(workgroupBarrier);
  }

  /** Has the walk's names mean what they meant at a level of a tree's route. */
  private bindVisited(tree: Expr, level: Expr, scope: Scope): void {
    bindPlaces(this.#walk.sums, tree, scope);
    if (this.#route !== null) scope.bind(this.#walk.descent.node, k.load(this.#route, [tree, level], k.scalar('i32')));
    for (const { name, isTruth, type, route } of this.#kept) {
      const value = k.load(route, [tree, level], k.scalar(type));
      scope.bind(name, isTruth ? k.op('ne', value, k.i32(0)) : value);
    }
  }

  /** The yields of all trees and levels for one output. */
  private sum(output: Scope): Expr {
    const { descent, trees, levels } = this.#walk;
    const { names } = output.kernel;
    const type = k.scalar(descent.type);
    const [total, tree, level] = ['walked', 'tree', 'level'].map((n) => names.fresh(n)) as [string, string, string];
    const at: readonly [Expr, Expr] = [trees === 1 ? k.i32(0) : k.index(tree), k.index(level)];
    const inner = output.inner();
    this.bindVisited(...at, inner);
    for (const { part, buffer } of this.#apart) inner.substitute(part, k.load(buffer, at, k.scalar('f32')));
    inner.emit(k.assign(total, k.add(k.ref(total, type), lowerExpr(descent.yield as LayerExpr, inner))));
    const route = k.loop(level, k.i32(0), k.i32(levels), inner.block);
    const zero: Expr = { kind: 'literal', value: 0, type };
    output.emit(k.varStmt(total, zero), trees === 1 ? route : k.loop(tree, k.i32(0), k.i32(trees), [route]));
    return k.ref(total, type);
  }

  /** What the walk of the one tree results in, written once. */
  private result(result: LayerExpr): () => Expr {
    const inner = this.#body.inner();
    inner.bind(this.#walk.descent.node, k.load(this.#reached, [k.i32(0)], k.scalar('i32')));
    const value = lowerExpr(result, inner);
    const name = this.#body.kernel.names.fresh('result');
    this.#body.emit(...inner.block, k.letStmt(name, value));
    return () => k.ref(name, value.type);
  }
}
