/** Walking Kernel IR: rebuild bottom-up, or visit. Nodes that nothing changed are shared, not copied. */
import type { Expr, Kernel, Stmt } from './types.ts';

/** The direct sub-expressions of a node. */
export function children(e: Expr): readonly Expr[] {
  switch (e.kind) {
    case 'load':
      return e.indices;
    case 'op':
      return e.args;
    case 'splat':
    case 'extract':
    case 'fold':
    case 'subgroup_fold':
      return [e.value];
    case 'lanes':
      return e.elements;
    case 'shuffle':
      return [e.value, e.lane];
    default:
      return [];
  }
}

/** The node with other sub-expressions, in the order of `children`. */
export function withChildren(e: Expr, next: readonly Expr[]): Expr {
  const old = children(e);
  if (old.every((child, i) => child === next[i])) return e;
  const only = next[0] as Expr;
  switch (e.kind) {
    case 'load':
      return { ...e, indices: next };
    case 'op':
      return { ...e, args: next };
    case 'splat':
    case 'extract':
    case 'fold':
    case 'subgroup_fold':
      return { ...e, value: only };
    case 'lanes':
      return { ...e, elements: next };
    case 'shuffle':
      return { ...e, value: only, lane: next[1] as Expr };
    default:
      return e;
  }
}

/** Rebuilds an expression bottom-up. */
export function mapExpr(e: Expr, change: (e: Expr) => Expr): Expr {
  return change(
    withChildren(
      e,
      children(e).map((child) => mapExpr(child, change)),
    ),
  );
}

/** Visits an expression, outermost first. */
export function visitExpr(e: Expr, visit: (e: Expr) => void): void {
  visit(e);
  for (const child of children(e)) visitExpr(child, visit);
}

/** The expressions a statement itself holds, not those of statements inside it. */
export function expressionsOf(s: Stmt): readonly Expr[] {
  switch (s.kind) {
    case 'for':
      return [s.from, s.to];
    case 'if':
    case 'check':
      return [s.condition];
    case 'let':
    case 'assign':
      return [s.value];
    case 'var':
      return [s.init];
    case 'store':
      return [...s.indices, s.value];
    case 'fragment':
      return s.indices;
    default:
      return [];
  }
}

/** The statement with other expressions, in the order of `expressionsOf`. */
export function withExpressions(s: Stmt, next: readonly Expr[]): Stmt {
  const old = expressionsOf(s);
  if (old.every((e, i) => e === next[i])) return s;
  const first = next[0] as Expr;
  switch (s.kind) {
    case 'for':
      return { ...s, from: first, to: next[1] as Expr };
    case 'if':
    case 'check':
      return { ...s, condition: first };
    case 'let':
    case 'assign':
      return { ...s, value: first };
    case 'var':
      return { ...s, init: first };
    case 'store':
      return { ...s, indices: next.slice(0, -1), value: next.at(-1) as Expr };
    case 'fragment':
      return { ...s, indices: next };
    default:
      return s;
  }
}

/** The statements inside a statement. */
export function blocksOf(s: Stmt): readonly (readonly Stmt[])[] {
  if (s.kind === 'for') return [s.body];
  if (s.kind === 'if') return [s.then, s.otherwise];
  return [];
}

/** The statement with other blocks, in the order of `blocksOf`. */
export function withBlocks(s: Stmt, next: readonly (readonly Stmt[])[]): Stmt {
  if (s.kind === 'for') return { ...s, body: next[0] as readonly Stmt[] };
  if (s.kind === 'if') return { ...s, then: next[0] as readonly Stmt[], otherwise: next[1] as readonly Stmt[] };
  return s;
}

/** Rebuilds every expression of statements, inside nested ones too. */
export function mapExpressions(body: readonly Stmt[], change: (e: Expr) => Expr): readonly Stmt[] {
  return body.map((s) => {
    const changed = withExpressions(
      s,
      expressionsOf(s).map((e) => mapExpr(e, change)),
    );
    return withBlocks(
      changed,
      blocksOf(changed).map((block) => mapExpressions(block, change)),
    );
  });
}

/** Rebuilds statements innermost first; a statement may become any number of statements. */
export function mapStatements(body: readonly Stmt[], change: (s: Stmt) => Stmt | readonly Stmt[]): readonly Stmt[] {
  return body.flatMap((s) =>
    change(
      withBlocks(
        s,
        blocksOf(s).map((block) => mapStatements(block, change)),
      ),
    ),
  );
}

/** Visits statements, outer before inner, in order. */
export function visitStatements(body: readonly Stmt[], visit: (s: Stmt) => void): void {
  for (const s of body) {
    visit(s);
    for (const block of blocksOf(s)) visitStatements(block, visit);
  }
}

/** Visits every expression node of statements. */
export function visitExpressions(body: readonly Stmt[], visit: (e: Expr) => void): void {
  visitStatements(body, (s) => {
    for (const e of expressionsOf(s)) visitExpr(e, visit);
  });
}

/** Replaces references by expressions. Indices of loops are not renamed: names are unique, so nothing is captured. */
export function substitute(body: readonly Stmt[], bindings: ReadonlyMap<string, Expr>): readonly Stmt[] {
  return mapExpressions(body, (e) => (e.kind === 'ref' ? (bindings.get(e.name) ?? e) : e));
}

/** The names a block defines, in nested blocks too: loop indices, lets, vars. */
export function namesDefined(body: readonly Stmt[]): Set<string> {
  const names = new Set<string>();
  visitStatements(body, (s) => {
    if (s.kind === 'for') names.add(s.index);
    else if (s.kind === 'let' || s.kind === 'var') names.add(s.name);
  });
  return names;
}

/** Makes names that a kernel does not use yet: "acc", "acc_1", "acc_2" … */
export class Names {
  readonly #used = new Map<string, number>();

  constructor(kernel?: Pick<Kernel, 'body' | 'buffers' | 'dims'>) {
    if (kernel === undefined) return;
    for (const name of kernel.dims) this.#used.set(name, 0);
    for (const buffer of kernel.buffers) this.#used.set(buffer.name, 0);
    for (const name of namesDefined(kernel.body)) this.#used.set(name, 0);
  }

  fresh(base: string): string {
    let count = this.#used.get(base);
    if (count === undefined) {
      this.#used.set(base, 0);
      return base;
    }
    let name: string;
    do {
      count++;
      name = `${base}_${count}`;
    } while (this.#used.has(name));
    this.#used.set(base, count);
    this.#used.set(name, 0);
    return name;
  }
}
