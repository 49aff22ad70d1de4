/**
 * Integer index arithmetic as polynomials: Σ coefficient · product of atoms, where an atom is a name, a dim, or any other
 * i32 expression taken as it stands. Tells whether an index moves by one with a loop, what it is a multiple of, and
 * gives the canonical form in which address arithmetic is written back.
 */
import * as k from './build.ts';
import type { Expr } from './types.ts';

interface Monomial {
  readonly coefficient: number;
  readonly atoms: readonly Atom[];
}
interface Atom {
  readonly key: string;
  readonly expr: Expr;
}
export type Affine = ReadonlyMap<string, Monomial>;

const monomialKey = (atoms: readonly Atom[]): string => atoms.map((a) => a.key).join('*');

function sum(parts: Iterable<Monomial>): Affine {
  const result = new Map<string, Monomial>();
  for (const part of parts) {
    const key = monomialKey(part.atoms);
    const coefficient = (result.get(key)?.coefficient ?? 0) + part.coefficient;
    if (coefficient === 0) result.delete(key);
    else result.set(key, { coefficient, atoms: part.atoms });
  }
  return result;
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

/** The canonical polynomial of a scalar i32 expression. */
export function affine(e: Expr): Affine {
  if (e.kind === 'literal') return sum(e.value === 0 ? [] : [{ coefficient: e.value, atoms: [] }]);
  if (e.kind === 'op') {
    const [a, b] = e.args;
    if (a !== undefined && b !== undefined) {
      if (e.op === 'add') return sum([...affine(a).values(), ...affine(b).values()]);
      if (e.op === 'sub') return sum([...affine(a).values(), ...scale(affine(b), -1).values()]);
      if (e.op === 'mul') return multiply(affine(a), affine(b));
    }
  }
  return sum([{ coefficient: 1, atoms: [{ key: exprKey(e), expr: e }] }]);
}

export const scale = (a: Affine, factor: number): Affine =>
  sum([...a.values()].map((m) => ({ coefficient: m.coefficient * factor, atoms: m.atoms })));

/** The polynomial divided by a number that divides every coefficient. */
export const divide = (a: Affine, divisor: number): Affine =>
  sum([...a.values()].map((m) => ({ coefficient: m.coefficient / divisor, atoms: m.atoms })));

export const plus = (a: Affine, b: Affine): Affine => sum([...a.values(), ...b.values()]);

export function multiply(a: Affine, b: Affine): Affine {
  const parts: Monomial[] = [];
  for (const x of a.values()) {
    for (const y of b.values()) {
      const atoms = [...x.atoms, ...y.atoms].sort((p, q) => (p.key < q.key ? -1 : 1));
      parts.push({ coefficient: x.coefficient * y.coefficient, atoms });
    }
  }
  return sum(parts);
}

export const equal = (a: Affine, b: Affine): boolean => plus(a, scale(b, -1)).size === 0;

/** The constant part. */
export const constantPart = (a: Affine): number => a.get('')?.coefficient ?? 0;
export const withoutConstant = (a: Affine): Affine => new Map([...a].filter(([key]) => key !== ''));
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
  const terms = [...a.entries()].filter(([key]) => key !== '');
  const rankOf = (m: Monomial): number => Math.max(0, ...m.atoms.map((atom) => rank(atom.expr)));
  terms.sort(([ka, ma], [kb, mb]) => rankOf(ma) - rankOf(mb) || (ka < kb ? -1 : 1));
  let result: Expr | null = null;
  for (const [, m] of terms) {
    const ordered = [...m.atoms].sort((p, q) => rank(p.expr) - rank(q.expr));
    const product = ordered.reduce<Expr>((p, atom) => k.mul(p, atom.expr), k.i32(m.coefficient));
    result = result === null ? product : k.add(result, product);
  }
  const constant = constantPart(a);
  if (result === null) return k.i32(constant);
  return constant === 0 ? result : k.add(result, k.i32(constant));
}
