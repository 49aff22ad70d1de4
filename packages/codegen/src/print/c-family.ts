/**
 * The walker for languages of the C family: turns Kernel IR statements into indented lines and expressions into infix text
 * with no more parentheses than needed. What a language spells its own way it answers for in a `Dialect`.
 */
import * as k from '../kernel-ir/build.ts';
import type { Expr, Stmt, ValueType } from '../kernel-ir/types.ts';
import { visitExpr, visitExpressions, visitStatements } from '../kernel-ir/walk.ts';

/** An expression's text and how tightly its outermost operator binds, one of `BINDS`. */
export interface Text {
  readonly text: string;
  readonly binds: number;
}

/** Levels of C's operators, tightest highest. */
export const BINDS = {
  primary: 16,
  unary: 15,
  product: 13,
  sum: 12,
  shift: 11,
  order: 10,
  equality: 9,
  bits: 8,
  both: 5,
  either: 4,
  choice: 3,
} as const;

export const primary = (text: string): Text => ({ text, binds: BINDS.primary });
export const call = (name: string, ...args: readonly Text[]): Text =>
  primary(`${name}(${args.map((a) => a.text).join(', ')})`);
export const prefix = (sign: string, a: Text): Text => ({
  // Two signs in a row would be another operator.
  text: `${sign}${a.binds >= BINDS.unary && !a.text.startsWith(sign) ? a.text : `(${a.text})`}`,
  binds: BINDS.unary,
});

/**
 * a sign b. Operators above sums keep the parentheses of every operand that is not arithmetic itself: readers and compilers
 * mistrust `a & b == c`.
 */
export function infix(binds: number, sign: string, a: Text, b: Text): Text {
  const arithmetic = binds >= BINDS.sum;
  const fits = (x: Text, right: boolean): boolean => {
    if (x.binds === BINDS.primary || x.binds === BINDS.unary) return true;
    if (arithmetic) return right ? x.binds > binds : x.binds >= binds;
    if (binds === BINDS.both || binds === BINDS.either)
      return (x.binds >= BINDS.equality && x.binds !== BINDS.shift) || (x.binds === binds && !right);
    return (binds === BINDS.order || binds === BINDS.equality) && x.binds >= BINDS.sum;
  };
  const side = (x: Text, right: boolean): string => (fits(x, right) ? x.text : `(${x.text})`);
  return { text: `${side(a, false)} ${sign} ${side(b, true)}`, binds };
}

/** condition ? a : b, nested choices to the right without parentheses. */
export function choice(condition: Text, a: Text, b: Text): Text {
  const side = (x: Text, least: number): string => (x.binds >= least ? x.text : `(${x.text})`);
  return {
    text: `${side(condition, BINDS.either)} ? ${side(a, BINDS.either)} : ${side(b, BINDS.choice)}`,
    binds: BINDS.choice,
  };
}

/** Text that can stand in a line comment: one line, and none that continues. */
export const comment = (text: string): string => text.replaceAll(/[\r\n]+/g, ' ').replace(/[\\\s]+$/, '');

type Of<K extends Expr['kind']> = Extract<Expr, { kind: K }>;
type StmtOf<K extends Stmt['kind']> = Extract<Stmt, { kind: K }>;

/** A loop as it is counted: from `from` in steps of `by` while the index is below `to`. */
export interface Counting {
  readonly loop: StmtOf<'for'>;
  readonly from: Text;
  readonly to: Text;
  readonly by: Text;
  /** Whether `to` may change while the loop runs, and must be kept. */
  readonly keep: boolean;
}

/** What a language of the family spells its own way. Statements are whole lines without indentation. */
export interface Dialect {
  /** The text of a let, a variable, a loop index or a dim. */
  name(name: string): string;
  /** Lanes of a subgroup and subgroups of a workgroup, for loops dealt out to them. */
  readonly dealt: { readonly lane: number; readonly subgroup: number };
  literal(e: Of<'literal'>): Text;
  builtin(which: Of<'builtin'>['which']): Text;
  /** `index` is the one physical index, offset included. */
  load(e: Of<'load'>, index: Text): Text;
  /** `address`: the operation computes an index of a load or store, which is known to fit an i32. */
  op(e: Of<'op'>, args: readonly Text[], address: boolean): Text;
  splat(e: Of<'splat'>, value: Text): Text;
  lanes(e: Of<'lanes'>, elements: readonly Text[]): Text;
  extract(e: Of<'extract'>, value: Text): Text;
  fold(e: Of<'fold'>, value: Text): Text;
  subgroupFold(e: Of<'subgroup_fold'>, value: Text): Text;
  shuffle(e: Of<'shuffle'>, value: Text, lane: Text): Text;
  /** Declares a name that keeps its value (`fixed`) or a variable. */
  declare(fixed: boolean, type: ValueType, name: string, value: Text): string;
  /** The number of this workgroup. */
  workgroup(): Text;
  /** Lines before a loop and its head, with an open brace at the end. */
  counting(counting: Counting): readonly string[];
  store(s: StmtOf<'store'>, index: Text, value: Text): string;
  barrier(scope: 'workgroup' | 'subgroup'): string;
  check(condition: Text, fault: number): string;
  fragment(s: StmtOf<'fragment'>): readonly string[];
  mma(s: StmtOf<'mma'>): readonly string[];
}

/** Operations whose operands are arithmetic of the same address; any other starts values of its own. */
const ADDRESS_OPS: ReadonlySet<string> = new Set(['add', 'sub', 'mul', 'floordiv', 'mod']);

export function printExpr(e: Expr, d: Dialect, address = false): Text {
  const print = (x: Expr): Text => printExpr(x, d);
  switch (e.kind) {
    case 'literal':
      return d.literal(e);
    case 'ref':
    case 'dim':
      return primary(d.name(e.name));
    case 'builtin':
      return d.builtin(e.which);
    case 'load':
      return d.load(e, printIndex(e, d));
    case 'op': {
      const inside = address && ADDRESS_OPS.has(e.op);
      return d.op(
        e,
        e.args.map((a) => printExpr(a, d, inside)),
        inside,
      );
    }
    case 'splat':
      return d.splat(e, print(e.value));
    case 'lanes':
      return d.lanes(e, e.elements.map(print));
    case 'extract':
      return d.extract(e, print(e.value));
    case 'fold':
      return d.fold(e, print(e.value));
    case 'subgroup_fold':
      return d.subgroupFold(e, print(e.value));
    case 'shuffle':
      return d.shuffle(e, print(e.value), print(e.lane));
  }
}

/** The physical index of a flattened access. */
function printIndex(at: { readonly indices: readonly Expr[]; readonly offset: number }, d: Dialect): Text {
  const [index, ...more] = at.indices;
  if (index === undefined || more.length > 0) throw new Error('flatten left an access with several indices');
  const text = printExpr(index, d, true);
  if (at.offset === 0) return text;
  if (index.kind === 'literal') return d.literal({ ...index, value: index.value + at.offset });
  return infix(BINDS.sum, at.offset < 0 ? '-' : '+', text, primary(String(Math.abs(at.offset))));
}

/** The statements as lines, indented from `indent` on. */
export function printBlock(body: readonly Stmt[], d: Dialect, indent: string): readonly string[] {
  return body.flatMap((s) => printStatement(s, d, indent));
}

function printStatement(s: Stmt, d: Dialect, indent: string): readonly string[] {
  const print = (e: Expr): Text => printExpr(e, d);
  const line = (text: string): readonly string[] => [indent + text];
  switch (s.kind) {
    case 'for':
      return printLoop(s, d, indent);
    case 'if':
      return [
        `${indent}if (${print(s.condition).text}) {`,
        ...printBlock(s.then, d, `${indent}  `),
        ...(s.otherwise.length > 0 ? [`${indent}} else {`, ...printBlock(s.otherwise, d, `${indent}  `)] : []),
        `${indent}}`,
      ];
    case 'let':
      return line(d.declare(true, s.value.type, d.name(s.name), print(s.value)));
    case 'var':
      return line(d.declare(false, s.type, d.name(s.name), print(s.init)));
    case 'assign':
      return line(`${d.name(s.name)} = ${print(s.value).text};`);
    case 'store':
      return line(d.store(s, printIndex(s, d), print(s.value)));
    case 'barrier':
      return line(d.barrier(s.scope));
    case 'check':
      return line(d.check(print(s.condition), s.fault));
    case 'fragment':
      return d.fragment(s).map((text) => indent + text);
    case 'mma':
      return d.mma(s).map((text) => indent + text);
    case 'touch':
      return [];
    case 'comment':
      return line(`// ${comment(s.text)}`);
  }
}

function printLoop(s: StmtOf<'for'>, d: Dialect, indent: string): readonly string[] {
  const print = (e: Expr): Text => printExpr(e, d);
  if (s.binding === 'grid') throw new Error(`legalise left the grid loop ${s.index}`);
  if (s.binding === 'workgroup') {
    // The runtime starts as many workgroups as the loop has iterations: this is one of them, whether it asks which or not.
    if (!mentioned(s.body, s.index)) return printBlock(s.body, d, indent);
    const step = infix(BINDS.product, '*', d.workgroup(), primary(String(s.step)));
    const strided = s.step === 1 ? d.workgroup() : step;
    const first =
      s.from.kind === 'literal' && s.from.value === 0 ? strided : infix(BINDS.sum, '+', print(s.from), strided);
    const index = d.declare(true, k.scalar('i32'), d.name(s.index), first);
    return [indent + index, ...printBlock(s.body, d, indent)];
  }
  let from = print(s.from);
  let by = s.step;
  if (s.binding !== 'serial') {
    const own = d.builtin(s.binding === 'lane' ? 'subgroup_lane' : 'subgroup');
    const ahead = s.step === 1 ? own : infix(BINDS.product, '*', own, primary(String(s.step)));
    from = s.from.kind === 'literal' && s.from.value === 0 ? ahead : infix(BINDS.sum, '+', from, ahead);
    by *= d.dealt[s.binding];
  }
  const head = d.counting({ loop: s, from, to: print(s.to), by: primary(String(by)), keep: mayChange(s) });
  return [...head.map((text) => indent + text), ...printBlock(s.body, d, `${indent}  `), `${indent}}`];
}

function mentioned(body: readonly Stmt[], name: string): boolean {
  let found = false;
  visitExpressions(body, (e) => {
    if (e.kind === 'ref' && e.name === name) found = true;
  });
  return found;
}

/** Whether the end of a loop, evaluated again in every round, could be another or costs more than a look. */
function mayChange(s: StmtOf<'for'>): boolean {
  const assigned = new Set<string>();
  visitStatements(s.body, (x) => {
    if (x.kind === 'assign') assigned.add(x.name);
  });
  let dear = 0;
  visitExpr(s.to, (e) => {
    if (e.kind === 'ref' && assigned.has(e.name)) dear += 2;
    if (e.kind === 'load' || e.kind === 'subgroup_fold' || e.kind === 'shuffle') dear += 2;
    if (e.kind === 'op') dear += 1;
  });
  return dear > 1;
}
