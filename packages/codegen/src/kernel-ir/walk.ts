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

/** The list with every element changed; the list itself where none did. */
function mapList<T>(list: readonly T[], change: (element: T) => T): readonly T[] {
  let next: T[] | null = null;
  for (let i = 0; i < list.length; i++) {
    const old = list[i] as T;
    const changed = change(old);
    if (next !== null) next.push(changed);
    else if (changed !== old) {
      next = list.slice(0, i);
      next.push(changed);
    }
  }
  return next ?? list;
}

/** The node with its direct sub-expressions changed, in the order of `children`; the node itself where none did. */
export function mapChildren(e: Expr, change: (e: Expr) => Expr): Expr {
  switch (e.kind) {
    case 'load': {
      const indices = mapList(e.indices, change);
      return indices === e.indices ? e : { ...e, indices };
    }
    case 'op': {
      const args = mapList(e.args, change);
      return args === e.args ? e : { ...e, args };
    }
    case 'splat':
    case 'extract':
    case 'fold':
    case 'subgroup_fold': {
      const value = change(e.value);
      return value === e.value ? e : { ...e, value };
    }
    case 'lanes': {
      const elements = mapList(e.elements, change);
      return elements === e.elements ? e : { ...e, elements };
    }
    case 'shuffle': {
      const value = change(e.value);
      const lane = change(e.lane);
      return value === e.value && lane === e.lane ? e : { ...e, value, lane };
    }
    default:
      return e;
  }
}

/** Visits the direct sub-expressions of a node. */
export function eachChild(e: Expr, visit: (e: Expr) => void): void {
  switch (e.kind) {
    case 'load':
      for (const child of e.indices) visit(child);
      return;
    case 'op':
      for (const child of e.args) visit(child);
      return;
    case 'splat':
    case 'extract':
    case 'fold':
    case 'subgroup_fold':
      visit(e.value);
      return;
    case 'lanes':
      for (const child of e.elements) visit(child);
      return;
    case 'shuffle':
      visit(e.value);
      visit(e.lane);
  }
}

/** Whether two expressions are equal, node by node. */
export function isSame(a: Expr, b: Expr): boolean {
  if (a === b) return true;
  if (a.type.scalar !== b.type.scalar || a.type.lanes !== b.type.lanes) return false;
  switch (a.kind) {
    case 'literal':
      return b.kind === 'literal' && Object.is(a.value, b.value);
    case 'ref':
    case 'dim':
      return b.kind === a.kind && a.name === b.name;
    case 'builtin':
      return b.kind === 'builtin' && a.which === b.which;
    case 'load':
      return (
        b.kind === 'load' &&
        a.buffer === b.buffer &&
        a.offset === b.offset &&
        a.passes === b.passes &&
        areSame(a.indices, b.indices)
      );
    case 'op':
      return b.kind === 'op' && a.op === b.op && areSame(a.args, b.args);
    case 'splat':
      return b.kind === 'splat' && isSame(a.value, b.value);
    case 'lanes':
      return b.kind === 'lanes' && areSame(a.elements, b.elements);
    case 'extract':
      return b.kind === 'extract' && a.lane === b.lane && isSame(a.value, b.value);
    case 'fold':
    case 'subgroup_fold':
      return b.kind === a.kind && a.op === b.op && isSame(a.value, b.value);
    case 'shuffle':
      return b.kind === 'shuffle' && a.mode === b.mode && isSame(a.value, b.value) && isSame(a.lane, b.lane);
  }
}

const areSame = (a: readonly Expr[], b: readonly Expr[]): boolean =>
  a.length === b.length && a.every((e, i) => isSame(e, b[i] as Expr));

/** Rebuilds an expression bottom-up. */
export function mapExpr(e: Expr, change: (e: Expr) => Expr): Expr {
  const rebuild = (x: Expr): Expr => change(mapChildren(x, rebuild));
  return rebuild(e);
}

/** Visits an expression, outermost first. */
export function visitExpr(e: Expr, visit: (e: Expr) => void): void {
  const look = (x: Expr): void => {
    visit(x);
    eachChild(x, look);
  };
  look(e);
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
    case 'touch':
      return s.indices;
    default:
      return [];
  }
}

/** The statement with the expressions it holds itself changed, in the order of `expressionsOf`; itself where none did. */
export function mapOwnExpressions(s: Stmt, change: (e: Expr) => Expr): Stmt {
  switch (s.kind) {
    case 'for': {
      const from = change(s.from);
      const to = change(s.to);
      return from === s.from && to === s.to ? s : { ...s, from, to };
    }
    case 'if':
    case 'check': {
      const condition = change(s.condition);
      return condition === s.condition ? s : { ...s, condition };
    }
    case 'let':
    case 'assign': {
      const value = change(s.value);
      return value === s.value ? s : { ...s, value };
    }
    case 'var': {
      const init = change(s.init);
      return init === s.init ? s : { ...s, init };
    }
    case 'store': {
      const indices = mapList(s.indices, change);
      const value = change(s.value);
      return indices === s.indices && value === s.value ? s : { ...s, indices, value };
    }
    case 'fragment':
    case 'touch': {
      const indices = mapList(s.indices, change);
      return indices === s.indices ? s : { ...s, indices };
    }
    default:
      return s;
  }
}

/** Visits the expressions a statement itself holds. */
export function eachOwnExpression(s: Stmt, visit: (e: Expr) => void): void {
  switch (s.kind) {
    case 'for':
      visit(s.from);
      visit(s.to);
      return;
    case 'if':
    case 'check':
      visit(s.condition);
      return;
    case 'let':
    case 'assign':
      visit(s.value);
      return;
    case 'var':
      visit(s.init);
      return;
    case 'store':
      for (const e of s.indices) visit(e);
      visit(s.value);
      return;
    case 'fragment':
    case 'touch':
      for (const e of s.indices) visit(e);
  }
}

/** The statements inside a statement. */
export function blocksOf(s: Stmt): readonly (readonly Stmt[])[] {
  if (s.kind === 'for') return [s.body];
  if (s.kind === 'if') return [s.then, s.otherwise];
  return [];
}

/** The statement with the blocks inside it changed; itself where none did. */
export function mapBlocks(s: Stmt, change: (block: readonly Stmt[]) => readonly Stmt[]): Stmt {
  if (s.kind === 'for') {
    const body = change(s.body);
    return body === s.body ? s : { ...s, body };
  }
  if (s.kind !== 'if') return s;
  const then = change(s.then);
  const otherwise = change(s.otherwise);
  return then === s.then && otherwise === s.otherwise ? s : { ...s, then, otherwise };
}

/**
 * Rebuilds every expression of statements, inside nested ones too. `change` must follow from its expression alone: one that stands
 * in several places is changed once, and stands in all of them again.
 */
export function mapExpressions(body: readonly Stmt[], change: (e: Expr) => Expr): readonly Stmt[] {
  const known = new Map<Expr, Expr>();
  const rebuild = (e: Expr): Expr => {
    let changed = known.get(e);
    if (changed === undefined) {
      changed = change(mapChildren(e, rebuild));
      known.set(e, changed);
    }
    return changed;
  };
  const block = (statements: readonly Stmt[]): readonly Stmt[] => mapList(statements, statement);
  const statement = (s: Stmt): Stmt => mapBlocks(mapOwnExpressions(s, rebuild), block);
  return block(body);
}

/** Rebuilds statements innermost first; a statement may become any number of statements. */
export function mapStatements(body: readonly Stmt[], change: (s: Stmt) => Stmt | readonly Stmt[]): readonly Stmt[] {
  const block = (statements: readonly Stmt[]): readonly Stmt[] =>
    flatMapBlock(statements, (s) => change(mapBlocks(s, block)));
  return block(body);
}

/** As `flatMap`; the list itself where every statement stays. */
export function flatMapBlock(body: readonly Stmt[], change: (s: Stmt) => Stmt | readonly Stmt[]): readonly Stmt[] {
  let next: Stmt[] | null = null;
  for (let i = 0; i < body.length; i++) {
    const old = body[i] as Stmt;
    const changed = change(old);
    if (next === null) {
      if (changed === old) continue;
      next = body.slice(0, i);
    }
    if ('kind' in changed) next.push(changed);
    else for (const s of changed) next.push(s);
  }
  return next ?? body;
}

/** Visits statements, outer before inner, in order. */
export function visitStatements(body: readonly Stmt[], visit: (s: Stmt) => void): void {
  for (const s of body) {
    visit(s);
    if (s.kind === 'for') visitStatements(s.body, visit);
    else if (s.kind === 'if') {
      visitStatements(s.then, visit);
      visitStatements(s.otherwise, visit);
    }
  }
}

/** Visits every expression node of statements. */
export function visitExpressions(body: readonly Stmt[], visit: (e: Expr) => void): void {
  const look = (e: Expr): void => {
    visit(e);
    eachChild(e, look);
  };
  visitStatements(body, (s) => eachOwnExpression(s, look));
}

/** Whether an expression of the statements is one that is looked for. One that stands in several places is looked at once. */
export function someExpression(body: readonly Stmt[], isWanted: (e: Expr) => boolean): boolean {
  const others = new Set<Expr>();
  let found = false;
  const look = (e: Expr): void => {
    if (found || others.has(e)) return;
    others.add(e);
    if (isWanted(e)) found = true;
    else eachChild(e, look);
  };
  visitStatements(body, (s) => eachOwnExpression(s, look));
  return found;
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
