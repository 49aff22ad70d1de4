/** Functions as values: primitives of the language, and functions written in it together with where they were written. */
import type { ScalarOp } from '../layer-ir.ts';
import type { FunctionSyntax, Module } from '../syntax/ast.ts';
import { functionsOf } from '../syntax/ast.ts';

/** How a primitive treats its arguments: makes them f32, or takes numbers of one type. */
export interface Primitive {
  readonly op: ScalarOp;
  readonly arity: number;
  readonly takes: 'f32' | 'number';
}

export const primitives: ReadonlyMap<string, Primitive> = new Map<string, Primitive>([
  ['exp', { op: 'exp', arity: 1, takes: 'f32' }],
  ['ln', { op: 'ln', arity: 1, takes: 'f32' }],
  ['tanh', { op: 'tanh', arity: 1, takes: 'f32' }],
  ['erf', { op: 'erf', arity: 1, takes: 'f32' }],
  ['sqrt', { op: 'sqrt', arity: 1, takes: 'f32' }],
  ['floor', { op: 'floor', arity: 1, takes: 'f32' }],
  ['abs', { op: 'abs', arity: 1, takes: 'number' }],
  ['min', { op: 'min', arity: 2, takes: 'number' }],
  ['max', { op: 'max', arity: 2, takes: 'number' }],
  ['f32', { op: 'to_f32', arity: 1, takes: 'number' }],
  ['i32', { op: 'to_i32', arity: 1, takes: 'number' }],
]);

/** Functions visible from a place: a module's own first, then the prelude's. Functions see what their home sees. */
export interface FunctionTable {
  readonly own: ReadonlyMap<string, FunctionSyntax>;
  readonly outer: FunctionTable | null;
}

export type FunctionValue =
  | { readonly kind: 'primitive'; readonly name: string; readonly primitive: Primitive }
  | { readonly kind: 'function'; readonly syntax: FunctionSyntax; readonly home: FunctionTable };

export const tableOf = (module: Module, outer: FunctionTable | null): FunctionTable => ({
  own: new Map(functionsOf(module).map((f) => [f.name.text, f])),
  outer,
});

/** What a name means as a function, or null. */
export function findFunction(name: string, table: FunctionTable): FunctionValue | null {
  for (let home: FunctionTable | null = table; home !== null; home = home.outer) {
    const syntax = home.own.get(name);
    if (syntax !== undefined) return { kind: 'function', syntax, home };
  }
  const primitive = primitives.get(name);
  return primitive === undefined ? null : { kind: 'primitive', name, primitive };
}

/** All names that mean a function, nearest first: for suggestions. */
export function functionNames(table: FunctionTable): readonly string[] {
  const names: string[] = [];
  for (let home: FunctionTable | null = table; home !== null; home = home.outer) names.push(...home.own.keys());
  return [...names, ...primitives.keys()];
}
