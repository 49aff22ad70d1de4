/**
 * The step `keep`: what a grid step reads of a buffer over and over, as a walk reads its row of x at every level, is copied to
 * private memory first. Dealt out to lanes the copy stays in their registers.
 */
import { Sizes } from '@espalier/ir';
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import { mapExpressions, Names, visitExpr, visitExpressions } from '../kernel-ir/walk.ts';
import { gridLoop, withGrid } from './spread.ts';
import { tripOf } from './vectorise.ts';

type For = Extract<Stmt, { kind: 'for' }>;
type Load = Extract<Expr, { kind: 'load' }>;

/** A row of the buffer: its last axis whole, the indices of the others the same throughout the grid step. */
interface Row {
  readonly indices: readonly Expr[];
  readonly length: number;
}

/** The kernel with the buffer's row kept, or the reason it can't be. */
export function keepRow(kernel: Kernel, name: string): Kernel | string {
  const grid = gridLoop(kernel);
  const buffer = kernel.buffers.find((b) => b.name === name);
  if (grid === null || kernel.workgroup !== undefined) return 'the kernel has no grid left';
  if (buffer === undefined) return `there is no buffer ${name}`;
  if (buffer.space !== 'global' || buffer.access !== 'read') return `${name} is not memory that is only read`;
  const { loop, at } = grid;
  // Names the grid step begins with: what follows from the step's number and nothing else.
  const lead = loop.body.findIndex((s) => s.kind !== 'let');
  const body = loop.body.slice(lead);
  const known = new Set([loop.index, ...loop.body.slice(0, lead).flatMap((s) => (s.kind === 'let' ? [s.name] : []))]);
  const found = rowOf(body, name, known);
  if (typeof found === 'string') return found;
  const length = Sizes.constantOf(buffer.shape.at(-1) ?? Sizes.constant(0));
  if (length !== found.length) return `the loops go over ${found.length} of the ${length} elements of a row`;

  const names = new Names(kernel);
  const kept = names.fresh(`${name}_row`);
  const i = names.fresh('i');
  const type = k.scalar(buffer.storage === 'f32' || buffer.storage === 'f16' ? 'f32' : 'i32');
  const copy = k.loop(
    i,
    k.i32(0),
    k.i32(length),
    [k.store(kept, [k.index(i)], k.load(name, [...found.indices, k.index(i)], type))],
    { label: kept },
  );
  const fromCopy = mapExpressions(body, (e) =>
    e.kind === 'load' && e.buffer === name ? k.load(kept, [e.indices.at(-1) as Expr], e.type) : e,
  );
  const step: For = { ...loop, body: [...loop.body.slice(0, lead), copy, ...fromCopy] };
  return {
    ...kernel,
    buffers: [
      ...kernel.buffers,
      {
        name: kept,
        space: 'private',
        access: 'read_write',
        storage: type.scalar === 'f32' ? 'f32' : 'i32',
        shape: [Sizes.constant(length)],
        layout: [{ part: 'whole', axis: 0 }],
      },
    ],
    body: withGrid(kernel, at, [step]),
  };
}

/** The one row that all loads of a buffer are of, each in a loop over its elements; there are several, or that loop lies in another. */
function rowOf(body: readonly Stmt[], name: string, known: ReadonlySet<string>): Row | string {
  let row: Row | null = null;
  let problem: string | null = null;
  let seen = 0;
  let isReadAgain = false;
  // A row that is read under a condition may not be there without it: x[t - 1] where t > 0.
  let isThere = false;
  const accept = (e: Load, around: readonly For[], isSure: boolean): void => {
    seen++;
    if (isSure) isThere = true;
    const last = e.indices.at(-1);
    const over = around.find((l) => last?.kind === 'ref' && l.index === last.name);
    const indices = e.indices.slice(0, -1);
    const mine = JSON.stringify(indices);
    if (over === undefined || over.from.kind !== 'literal' || over.from.value !== 0 || over.to.kind !== 'literal')
      problem ??= `${name} is not read element by element`;
    else if (around.length > 1) isReadAgain = true;
    if (problem !== null || over?.to.kind !== 'literal') return;
    const length = over.to.value;
    // Where rows go by the step's own numbers they are there as it is; x[E - 1], in a loop over E, is not where E is 0.
    const isPlain = indices.every((x) => x.kind === 'ref' || x.kind === 'literal');
    if (indices.some((x) => !followsFrom(x, known))) problem ??= `${name} is read in several places`;
    else if (!isPlain && around.some(mayNotRun)) problem ??= `${name} is read in a loop that may never run`;
    else if (row === null) row = { indices, length };
    else if (JSON.stringify(row.indices) !== mine || row.length !== length)
      problem ??= `several rows of ${name} are read`;
  };
  const walk = (block: readonly Stmt[], around: readonly For[], isSure: boolean): void => {
    for (const s of block) {
      if (s.kind === 'for') walk(s.body, [...around, s], isSure);
      else if (s.kind === 'if') {
        walk(s.then, around, false);
        walk(s.otherwise, around, false);
      } else
        visitExpressions([s], (e) => {
          if (e.kind === 'load' && e.buffer === name) accept(e, around, isSure);
        });
    }
  };
  walk(body, [], true);
  let all = 0;
  visitExpressions(body, (e) => {
    if (e.kind === 'load' && e.buffer === name) all++;
  });
  // Those in the bounds of loops and in conditions are elsewhere.
  if (all !== seen) problem ??= `${name} decides how loops run`;
  const found = row as Row | null;
  // A buffer that is one row is always there.
  if (found !== null && found.indices.length > 0 && !isThere) problem ??= `${name} is read under a condition`;
  if (seen === 1 && !isReadAgain) problem ??= `${name} is read once`;
  return problem ?? found ?? `${name} is not read in the grid step`;
}

const mayNotRun = (loop: For): boolean => {
  const trip = tripOf(loop);
  return trip === null || trip === 0;
};

function followsFrom(e: Expr, known: ReadonlySet<string>): boolean {
  let follows = true;
  visitExpr(e, (x) => {
    if (x.kind === 'load' || (x.kind === 'ref' && !known.has(x.name))) follows = false;
  });
  return follows;
}
