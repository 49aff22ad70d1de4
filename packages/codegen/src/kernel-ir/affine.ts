/**
 * Integer index arithmetic as polynomials: Σ coefficient · product of atoms, where an atom is a name, a dim, or any other
 * i32 expression taken as it stands. Tells whether an index moves by one with a loop, what it is a multiple of, and
 * gives the canonical form in which address arithmetic is written back.
 */
import * as k from './build.ts';
import type { Expr, Stmt } from './types.ts';
import { eachChild } from './walk.ts';

interface Monomial {
  readonly coefficient: number;
  readonly atoms: readonly Atom[];
}
interface Atom {
  readonly key: string;
  readonly expr: Expr;
}
export type Affine = ReadonlyMap<string, Monomial>;

const monomialKey = (atoms: readonly Atom[]): string =>
  atoms.length === 1 ? (atoms[0] as Atom).key : atoms.map((a) => a.key).join('*');

/** Adds a term to a polynomial in the making. */
function addTerm(sum: Map<string, Monomial>, key: string, coefficient: number, atoms: readonly Atom[]): void {
  const total = (sum.get(key)?.coefficient ?? 0) + coefficient;
  if (total === 0) sum.delete(key);
  else sum.set(key, { coefficient: total, atoms });
}

/** A text that is equal exactly for equal expressions. */
export function exprKey(e: Expr): string {
  switch (e.kind) {
    case 'literal':
      return `${Object.is(e.value, -0) ? '-0' : e.value}${e.type.scalar[0]}${e.type.lanes}`;
    case 'ref':
      return e.name;
    case 'dim':
      return `$${e.name}`;
    case 'builtin':
      return `@${e.which}`;
    case 'load':
      return `${e.buffer}[${e.indices.map(exprKey).join(',')}+${e.offset}]${e.type.scalar}${e.type.lanes}`;
    case 'op':
      return `${e.op}(${e.args.map(exprKey).join(',')})`;
    case 'splat':
      return `splat${e.type.lanes}(${exprKey(e.value)})`;
    case 'lanes':
      return `lanes(${e.elements.map(exprKey).join(',')})`;
    case 'extract':
      return `extract${e.lane}(${exprKey(e.value)})`;
    case 'fold':
    case 'subgroup_fold':
      return `${e.kind}_${e.op}(${exprKey(e.value)})`;
    case 'shuffle':
      return `shuffle_${e.mode}(${exprKey(e.value)},${exprKey(e.lane)})`;
  }
}

/** Polynomials of expressions that were asked for: nodes don't change, and index arithmetic is asked about again and again. */
const polynomials = new WeakMap<Expr, Affine>();

/** The canonical polynomial of a scalar i32 expression. */
export function affine(e: Expr): Affine {
  let known = polynomials.get(e);
  if (known === undefined) {
    known = polynomialOf(e);
    polynomials.set(e, known);
  }
  return known;
}

const ZERO: Affine = new Map();
const number = (value: number): Affine => (value === 0 ? ZERO : new Map([['', { coefficient: value, atoms: [] }]]));

function polynomialOf(e: Expr): Affine {
  if (e.kind === 'literal') return number(e.value);
  if (e.kind === 'op') {
    const [a, b] = e.args;
    if (a !== undefined && b !== undefined) {
      if (e.op === 'add') return plus(affine(a), affine(b));
      if (e.op === 'sub') return plus(affine(a), scale(affine(b), -1));
      if (e.op === 'mul') return multiply(affine(a), affine(b));
    }
  }
  const key = exprKey(e);
  return new Map([[key, { coefficient: 1, atoms: [{ key, expr: e }] }]]);
}

/** The polynomial with every coefficient changed to another that isn't 0. */
function withCoefficients(a: Affine, change: (coefficient: number) => number): Affine {
  const result = new Map<string, Monomial>();
  for (const [key, m] of a) result.set(key, { coefficient: change(m.coefficient), atoms: m.atoms });
  return result;
}

export const scale = (a: Affine, factor: number): Affine =>
  factor === 1 ? a : factor === 0 ? ZERO : withCoefficients(a, (coefficient) => coefficient * factor);

/** The polynomial divided by a number that divides every coefficient. */
export const divide = (a: Affine, divisor: number): Affine =>
  withCoefficients(a, (coefficient) => coefficient / divisor);

export function plus(a: Affine, b: Affine): Affine {
  if (a.size === 0) return b;
  if (b.size === 0) return a;
  const result = new Map(a);
  for (const [key, m] of b) addTerm(result, key, m.coefficient, m.atoms);
  return result;
}

export function multiply(a: Affine, b: Affine): Affine {
  const [x, y] = [constantOf(a), constantOf(b)];
  if (y !== null) return scale(a, y);
  if (x !== null) return scale(b, x);
  const result = new Map<string, Monomial>();
  for (const p of a.values()) {
    for (const q of b.values()) {
      const atoms = [...p.atoms, ...q.atoms].sort((s, t) => (s.key < t.key ? -1 : 1));
      addTerm(result, monomialKey(atoms), p.coefficient * q.coefficient, atoms);
    }
  }
  return result;
}

export function equal(a: Affine, b: Affine): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [key, { coefficient }] of a) if (b.get(key)?.coefficient !== coefficient) return false;
  return true;
}

/** The constant part. */
export const constantPart = (a: Affine): number => a.get('')?.coefficient ?? 0;
export function withoutConstant(a: Affine): Affine {
  if (!a.has('')) return a;
  const result = new Map(a);
  result.delete('');
  return result;
}
/** The number a polynomial is, or null. */
export const constantOf = (a: Affine): number | null =>
  a.size === 0 ? 0 : a.size === 1 ? (a.get('')?.coefficient ?? null) : null;

/** Whether an expression mentions a name, anywhere. */
export function mentions(e: Expr, names: ReadonlySet<string>): boolean {
  if (e.kind === 'ref') return names.has(e.name);
  switch (e.kind) {
    case 'load':
      return e.indices.some((x) => mentions(x, names));
    case 'op':
      return e.args.some((x) => mentions(x, names));
    case 'splat':
    case 'extract':
    case 'fold':
    case 'subgroup_fold':
      return mentions(e.value, names);
    case 'lanes':
      return e.elements.some((x) => mentions(x, names));
    case 'shuffle':
      return mentions(e.value, names) || mentions(e.lane, names);
    default:
      return false;
  }
}

/** By how much a polynomial grows when `name` grows by one: a number, or null when it isn't one (products, opaque uses). */
export function strideOf(a: Affine, name: string): number | null {
  const only = new Set([name]);
  let stride = 0;
  for (const m of a.values()) {
    const holding = m.atoms.filter((atom) => mentions(atom.expr, only));
    if (holding.length === 0) continue;
    if (m.atoms.length !== 1 || holding[0]?.key !== name) return null;
    stride += m.coefficient;
  }
  return stride;
}

/** The remainder of a polynomial modulo `n`, when every term but the constant is a multiple of n. `multiples` says what names are multiples of. */
export function residue(a: Affine, n: number, multiples: ReadonlyMap<string, number>): number | null {
  for (const [key, m] of a) {
    if (key === '') continue;
    let factor = m.coefficient;
    for (const atom of m.atoms) factor *= atom.expr.kind === 'ref' ? (multiples.get(atom.expr.name) ?? 1) : 1;
    if (factor % n !== 0) return null;
  }
  return ((constantPart(a) % n) + n) % n;
}

/** Writes a polynomial back; `rank` orders the terms (outer loops first), so that what is invariant stands together. */
export function toExpr(a: Affine, rank: (e: Expr) => number = () => 0): Expr {
  const terms: { readonly key: string; readonly rank: number; readonly monomial: Monomial }[] = [];
  for (const [key, monomial] of a) {
    if (key === '') continue;
    let highest = 0;
    for (const atom of monomial.atoms) highest = Math.max(highest, rank(atom.expr));
    terms.push({ key, rank: highest, monomial });
  }
  terms.sort((s, t) => s.rank - t.rank || (s.key < t.key ? -1 : 1));
  let result: Expr | null = null;
  for (const { monomial } of terms) {
    const { atoms } = monomial;
    const ordered = atoms.length === 1 ? atoms : [...atoms].sort((p, q) => rank(p.expr) - rank(q.expr));
    let product: Expr = k.i32(monomial.coefficient);
    for (const atom of ordered) product = k.mul(product, atom.expr);
    result = result === null ? product : k.add(result, product);
  }
  const constant = constantPart(a);
  if (result === null) return k.i32(constant);
  return constant === 0 ? result : k.add(result, k.i32(constant));
}

/** `toExpr` for many polynomials: equal ones are written as one node, which later passes then look at once. */
export function writeOnce(rank: (e: Expr) => number): (a: Affine) => Expr {
  const written = new Map<string, Expr>();
  return (a) => {
    let text = '';
    for (const [key, m] of a) text += `${m.coefficient}*${key}+`;
    let expr = written.get(text);
    if (expr === undefined) {
      expr = toExpr(a, rank);
      written.set(text, expr);
    }
    return expr;
  };
}

/** For `toExpr`: how deep in the loops of a kernel what an expression is made of is settled. */
export function depthIn(body: readonly Stmt[]): (e: Expr) => number {
  const depths = new Map<string, number>();
  const walk = (block: readonly Stmt[], level: number): void => {
    for (const s of block) {
      if (s.kind === 'for') {
        depths.set(s.index, level + 1);
        walk(s.body, level + 1);
      } else if (s.kind === 'if') {
        walk(s.then, level);
        walk(s.otherwise, level);
      } else if (s.kind === 'let' || s.kind === 'var') depths.set(s.name, level);
    }
  };
  walk(body, 0);
  const depthOf = (e: Expr): number => {
    if (e.kind === 'ref') return depths.get(e.name) ?? 0;
    let deepest = 0;
    eachChild(e, (child) => {
      deepest = Math.max(deepest, depthOf(child));
    });
    return deepest;
  };
  return depthOf;
}
