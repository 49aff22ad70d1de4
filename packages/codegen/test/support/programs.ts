/** Random Kernel IR programs over integers: lets, variables, branches, loops, and memory that is read and written. */
import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import * as k from '../../src/kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../../src/kernel-ir/types.ts';
import { random } from './kernels.ts';

const int = k.scalar('i32');
const SIZE = 8;

/** Names in scope: what may be read, and which of it may be assigned. */
interface InScope {
  readonly values: readonly string[];
  readonly variables: readonly string[];
  /** Expressions written before, which may be written again. */
  readonly used: Expr[];
}

/** A program of about `length` statements over x (read) and m (read and written). It always ends, and stays in bounds. */
export function randomProgram(seed: number, length: number): Kernel {
  const next = random(seed);
  const below = (n: number): number => Math.floor(next() * n);
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T;
  let count = 0;
  let budget = length;
  const fresh = (base: string): string => `${base}${count++}`;
  const place = (scope: InScope, depth: number): Expr => k.op('mod', expr(scope, depth - 1), k.i32(SIZE));

  function expr(scope: InScope, depth: number): Expr {
    const kind = depth <= 0 ? below(2) : below(6);
    if (kind === 0) return k.i32(below(5) - 2);
    if (kind === 1) return scope.values.length === 0 ? k.dim('T') : k.index(pick(scope.values));
    if (kind === 2) {
      const made = k.load(pick(['x', 'm']), [place(scope, depth)], int);
      scope.used.push(made);
      return made;
    }
    if (kind <= 4 && scope.used.length > 0) return pick(scope.used);
    const made = k.op(pick(['add', 'sub', 'mul', 'min'] as const), expr(scope, depth - 1), expr(scope, depth - 2));
    scope.used.push(made);
    return made;
  }

  function block(outer: InScope, loops: number): readonly Stmt[] {
    let scope: InScope = { ...outer, used: [...outer.used] };
    const body: Stmt[] = [];
    for (let n = 2 + below(6); n > 0 && budget > 0; n--) {
      budget--;
      const kind = below(8);
      if (kind <= 1) {
        const name = fresh('a');
        body.push(k.letStmt(name, expr(scope, 3)));
        scope = { ...scope, values: [...scope.values, name] };
      } else if (kind === 2) {
        const name = fresh('v');
        body.push(k.varStmt(name, expr(scope, 2)));
        scope = { ...scope, values: [...scope.values, name], variables: [...scope.variables, name] };
      } else if (kind === 3 && scope.variables.length > 0)
        body.push(k.assign(pick(scope.variables), k.op('mod', expr(scope, 3), k.i32(97))));
      else if (kind === 4 && loops < 3) {
        const index = fresh('i');
        const to = next() < 0.5 ? k.i32(below(4)) : k.dim('T');
        body.push(k.loop(index, k.i32(0), to, block({ ...scope, values: [...scope.values, index] }, loops + 1)));
      } else if (kind === 5) {
        const condition = k.op('lt', expr(scope, 2), expr(scope, 1));
        body.push({
          kind: 'if',
          condition,
          then: block(scope, loops),
          otherwise: next() < 0.5 ? [] : block(scope, loops),
        });
      } else if (kind === 6)
        body.push({ kind: 'check', condition: k.op('le', expr(scope, 2), k.i32(3)), fault: 1 + below(2) });
      else body.push(k.store('m', [place(scope, 2)], k.op('mod', expr(scope, 3), k.i32(97))));
    }
    return body;
  }

  const buffer = (name: string, access: 'read' | 'read_write') => ({
    name,
    space: 'global' as const,
    access,
    storage: 'i32' as const,
    shape: [Sizes.constant(SIZE)],
    layout: rowMajor(1),
  });
  const fill = k.loop('f', k.i32(0), k.i32(SIZE), [k.store('m', [k.index('f')], k.load('x', [k.index('f')], int))]);
  const body = block({ values: [], variables: [], used: [] }, 0);
  return {
    name: 'k0',
    label: 'random',
    buffers: [buffer('x', 'read'), buffer('m', 'read_write')],
    dims: ['T'],
    body: [fill, ...body],
    faults: [
      { message: '1', place: '' },
      { message: '2', place: '' },
    ],
  };
}
