/**
 * A block of walks taken level by level: rows that stand at one node lie side by side, so that all of them use the node's numbers while
 * they are at hand, several rows in registers at once. After each level the rows of a node are sorted by where they go next. A row's
 * own numbers are added up as they would be if it walked alone.
 */
import type { Expr as LayerExpr } from '@espalier/ir';
import { Sizes } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import { type DescendExpr, walkNode } from './expr.ts';
import type { Scope } from './scope.ts';

/** What some levels of the walks leave: numbers by level and row. */
export interface Saved {
  readonly locals: readonly { readonly name: string; readonly buffer: string; readonly scalar: 'f32' | 'i32' }[];
  readonly parts: readonly { readonly part: Extract<LayerExpr, { kind: 'op' | 'select' }>; readonly buffer: string }[];
  readonly levels: number;
}

/** Rows of a block, and what is kept of them from level to level. */
export interface Block {
  /** Rows that there is room for. */
  readonly size: number;
  /** The rows of this block, in the order of their nodes: each a number from 0 up to the block's count. */
  readonly order: string;
  /** The node each of them stands at, in the same order. */
  readonly node: string;
  readonly nextOrder: string;
  readonly nextNode: string;
  /** Where the rows of each node begin. */
  readonly starts: string;
}

const int = k.scalar('i32');

/** Declares a block's memory. */
export function blockOf(scope: Scope, size: number): Block {
  const ints = (base: string, count: number): string => scope.kernel.scratch(base, [Sizes.constant(count)], 'i32');
  return {
    size,
    order: ints('block', size),
    node: ints('node', size),
    nextOrder: ints('next_block', size),
    nextNode: ints('next_node', size),
    starts: ints('starts', size + 1),
  };
}

/** How a block is walked. */
export interface LevelWalk {
  readonly descent: DescendExpr;
  /** Levels from … to. */
  readonly from: number;
  readonly to: number;
  readonly block: Block;
  /** Rows of the block. */
  readonly count: Expr;
  /** The node where the row in a place begins. */
  start(place: Expr, scope: Scope): Expr;
  /** Binds the row axes to a row of the block. */
  bindRow(scope: Scope, row: Expr): void;
  readonly saved: Saved;
  /** The place of a row of the block in what is saved. */
  column(row: Expr): Expr;
  /** Label of the loop over the rows at one node. */
  readonly label: string;
}

/** Writes the walk. Afterwards `block.order` and `block.node` hold the rows sorted by the nodes they have reached. */
export function walkByLevel(walk: LevelWalk, scope: Scope): void {
  const { descent, from, to, block, count, saved } = walk;
  const { names } = scope.kernel;
  const at = (buffer: string, place: Expr): Expr => k.load(buffer, [place], int);
  const loop = (base: string, low: Expr, high: Expr, fill: (place: Expr, body: Scope) => void, around: Scope): void => {
    const index = names.fresh(base);
    const body = around.inner();
    fill(k.index(index), body);
    around.emit(k.loop(index, low, high, body.block, { label: base }));
  };
  const nowOf = saved.locals
    .filter((l) => l.name !== descent.node)
    .map((l) => ({ ...l, now: scope.kernel.scratch(`${l.name}_now`, [Sizes.constant(block.size)], l.scalar) }));

  loop(
    'entered',
    k.i32(0),
    count,
    (place, body) =>
      body.emit(k.store(block.order, [place], place), k.store(block.node, [place], walk.start(place, body))),
    scope,
  );
  loop(
    'level',
    k.i32(from),
    k.i32(to),
    (level, body) => {
      const nodes = names.fresh('nodes');
      const counted = k.index(nodes);
      body.emit(k.varStmt(nodes, k.i32(0)));
      loop(
        'met',
        k.i32(0),
        count,
        (place, each) => {
          const before = at(block.node, k.max(k.sub(place, k.i32(1)), k.i32(0)));
          const isNew = k.op('or', k.op('eq', place, k.i32(0)), k.op('ne', at(block.node, place), before));
          const then: Stmt[] = [k.store(block.starts, [counted], place), k.assign(nodes, k.add(counted, k.i32(1)))];
          each.emit({ kind: 'if', condition: isNew, then, otherwise: [] });
        },
        body,
      );
      body.emit(k.store(block.starts, [counted], count));
      loop('met', k.i32(0), counted, (place, each) => atNode(place, level, each), body);
      loop(
        'entered',
        k.i32(0),
        count,
        (place, each) =>
          each.emit(
            k.store(block.order, [place], at(block.nextOrder, place)),
            k.store(block.node, [place], at(block.nextNode, place)),
          ),
        body,
      );
    },
    scope,
  );

  function atNode(which: Expr, level: Expr, scope: Scope): void {
    const [low, high, node] = ['low', 'high', descent.node].map((base) => names.fresh(base)) as [
      string,
      string,
      string,
    ];
    scope.emit(
      k.letStmt(low, at(block.starts, which)),
      k.letStmt(high, at(block.starts, k.add(which, k.i32(1)))),
      k.letStmt(node, at(block.node, k.index(low))),
    );
    scope.bind(descent.node, k.index(node));
    loop(
      walk.label,
      k.index(low),
      k.index(high),
      (place, body) => {
        const row = names.fresh('row');
        body.emit(k.letStmt(row, at(block.order, place)));
        walk.bindRow(body, k.index(row));
        const next = walkNode(descent, body, level, (here) => {
          for (const { name, now } of nowOf) here.emit(k.store(now, [place], here.lookup(name)));
        });
        body.emit(k.store(block.node, [place], next));
      },
      scope,
    );
    // Rows that go where the first one goes come first, the others last: of two next nodes both have their rows side by side.
    const [same, left, right] = ['same', 'left', 'right'].map((base) => names.fresh(base)) as [string, string, string];
    scope.emit(
      k.letStmt(same, at(block.node, k.index(low))),
      k.varStmt(left, k.index(low)),
      k.varStmt(right, k.index(high)),
    );
    loop(
      'placed',
      k.index(low),
      k.index(high),
      (place, body) => {
        const [own, row, goes, to] = ['own', 'row', 'goes', 'to'].map((base) => names.fresh(base)) as [
          string,
          string,
          string,
          string,
        ];
        body.emit(
          k.letStmt(own, at(block.node, place)),
          k.letStmt(row, at(block.order, place)),
          k.letStmt(goes, k.op('select', k.op('eq', k.index(own), k.index(same)), k.i32(1), k.i32(0))),
          k.assign(right, k.add(k.index(right), k.sub(k.index(goes), k.i32(1)))),
          k.letStmt(to, k.op('select', k.op('ne', k.index(goes), k.i32(0)), k.index(left), k.index(right))),
          k.assign(left, k.add(k.index(left), k.index(goes))),
        );
        const column = [k.sub(level, k.i32(from)), walk.column(k.index(row))];
        for (const { name, buffer } of saved.locals) {
          const now = nowOf.find((l) => l.name === name);
          const value = now === undefined ? k.index(node) : k.load(now.now, [place], k.scalar(now.scalar));
          body.emit(k.store(buffer, column, value));
        }
        body.emit(
          k.store(block.nextOrder, [k.index(to)], k.index(row)),
          k.store(block.nextNode, [k.index(to)], k.index(own)),
        );
      },
      scope,
    );
  }
}
