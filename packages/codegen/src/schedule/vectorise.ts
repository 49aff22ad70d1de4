/**
 * The step `vectorise`: a loop's iterations run side by side in vector values. Works on inner and on outer loops: what
 * depends on the loop becomes a vector, what doesn't stays scalar and is splatted where the two meet. A variable declared
 * outside and folded in the loop gets partial results, folded after it.
 */
import { mentions } from '../kernel-ir/affine.ts';
import * as k from '../kernel-ir/build.ts';
import type { Expr, FoldOp, Kernel, Stmt, ValueType } from '../kernel-ir/types.ts';
import { expressionsOf, type Names, substitute, visitExpr, visitStatements } from '../kernel-ir/walk.ts';
import { renamed } from './copy.ts';
import { bufferOf, dependence, loadsOf, movement, storesOf, varyingNames } from './memory.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** A variable that the loop folds into: its operation, and the partial variables that replace it. */
export interface Partial {
  readonly op: FoldOp;
  readonly type: ValueType;
}

/** Operations whose vector form every SIMD target has or legalise can make from scalars. */
export class VectoriseError extends Error {}
const refuse = (why: string): never => {
  throw new VectoriseError(why);
};

/** A loop inside was vectorised before: elements of its vectors and iterations of this loop can't both be lanes. */
const VECTORS = 'what it computes are vectors already';

export interface VectoriseOptions {
  readonly lanes: number;
  readonly accumulators: number;
  readonly kernel: Kernel;
  readonly names: Names;
  readonly multiples: ReadonlyMap<string, number>;
}

/** The statements that replace `loop`. Throws VectoriseError with the reason when it can't be done. */
export function vectoriseLoop(loop: For, options: VectoriseOptions): readonly Stmt[] {
  const { lanes, names } = options;
  const { binding } = loop;
  if (loop.step !== 1 || (binding !== 'serial' && binding !== 'lane'))
    return refuse('only loops of step 1, serial or dealt out to lanes, can be vectorised');
  const partials = partialsOf(loop);
  if ([...partials.values()].some((p) => p.type.lanes > 1)) return refuse('what it folds are vectors already');
  const why = dependence(loop.index, loop.body);
  if (why !== null) return refuse(why);
  const trip = tripOf(loop);
  const accumulators =
    partials.size === 0 ? 1 : Math.max(1, Math.min(options.accumulators, Math.floor((trip ?? Infinity) / lanes)));
  if (trip !== null && trip < lanes) return refuse(`the loop runs ${trip} times, fewer than ${lanes} lanes`);

  const result: Stmt[] = [];
  const sets = Array.from({ length: accumulators }, () => new Map<string, string>());
  for (const [name, p] of partials) {
    for (const set of sets) {
      const partial = names.fresh(`${name}_v`);
      set.set(name, partial);
      result.push(k.varStmt(partial, k.splat(k.identityOf(p.op, p.type.scalar), lanes)));
    }
  }
  // With several accumulators: a loop that feeds all of them, then one that feeds the first, then the scalar tail.
  const widths = accumulators > 1 ? [accumulators, 1] : [1];
  let from = loop.from;
  for (const copies of widths) {
    const step = lanes * copies;
    const index = names.fresh(loop.index);
    const body: Stmt[] = [];
    for (let copy = 0; copy < copies; copy++) {
      const at = copy === 0 ? k.index(index) : k.add(k.index(index), k.i32(copy * lanes));
      const body0 = copy === 0 && copies === 1 ? loop.body : renamed(loop.body, names);
      const vectors = new Vectors(loop, sets[copy] ?? new Map(), options, body0);
      body.push(...substitute(vectors.statements(body0), new Map([[loop.index, at]])));
    }
    const end = endOf(from, loop.to, step);
    if (tripBetween(from, end) !== 0) result.push(k.loop(index, from, end, body, { step, binding, label: loop.label }));
    from = end;
  }
  for (const [name, p] of partials) {
    const values = sets.map((set) => k.ref(set.get(name) as string, k.vector(p.type.scalar, lanes)));
    const all = pairwise(p.op, values);
    result.push(k.assign(name, k.op(p.op, k.ref(name, p.type), k.fold(p.op, all))));
  }
  if (tripBetween(from, loop.to) !== 0) {
    const index = names.fresh(loop.index);
    const body = renamed(loop.body, names, new Map([[loop.index, k.index(index)]]));
    result.push(k.loop(index, from, loop.to, body, { binding, label: `${loop.label}_tail` }));
  }
  return result;
}

const pairwise = (op: FoldOp, values: readonly Expr[]): Expr => {
  if (values.length === 1) return values[0] as Expr;
  const half = Math.ceil(values.length / 2);
  return k.op(op, pairwise(op, values.slice(0, half)), pairwise(op, values.slice(half)));
};

/** How often a loop runs, when that is known. */
export function tripOf(loop: For): number | null {
  const length = tripBetween(loop.from, loop.to);
  return length === null ? null : Math.ceil(length / loop.step);
}

function tripBetween(from: Expr, to: Expr): number | null {
  return from.kind === 'literal' && to.kind === 'literal' ? Math.max(0, to.value - from.value) : null;
}

/** The end of the part of from … to that whole steps cover. */
export function endOf(from: Expr, to: Expr, step: number): Expr {
  // A size such as T - 2 may come out negative, and the loop then runs no time.
  return k.add(from, k.mul(k.op('floordiv', k.max(k.sub(to, from), k.i32(0)), k.i32(step)), k.i32(step)));
}

/** Variables declared outside the loop and folded in it, each by one kind of operation. Throws VectoriseError when one is carried in another way. */
export function partialsOf(loop: For): ReadonlyMap<string, Partial> {
  const inside = new Set<string>();
  visitStatements(loop.body, (s) => {
    if (s.kind === 'let' || s.kind === 'var') inside.add(s.name);
  });
  const partials = new Map<string, Partial>();
  visitStatements(loop.body, (s) => {
    if (s.kind !== 'assign' || inside.has(s.name)) return;
    const folded = foldedInto(s);
    if (folded === null) refuse(`${s.name} is carried from one iteration to the next`);
    else if (partials.has(s.name) && partials.get(s.name)?.op !== folded.op) refuse(`${s.name} is folded in two ways`);
    else partials.set(s.name, folded);
  });
  const counted = new Map<string, number>();
  visitStatements(loop.body, (s) => {
    for (const e of expressionsOf(s)) {
      visitExpr(e, (x) => {
        if (x.kind === 'ref' && partials.has(x.name)) counted.set(x.name, (counted.get(x.name) ?? 0) + 1);
      });
    }
    if (s.kind === 'assign' && partials.has(s.name)) counted.set(s.name, (counted.get(s.name) ?? 0) - 1);
  });
  for (const [name, uses] of counted) if (uses !== 0) refuse(`${name} is used in the loop that folds it`);
  return partials;
}

const FOLDS: ReadonlySet<string> = new Set(['add', 'mul', 'max', 'min']);

function foldedInto(s: Extract<Stmt, { kind: 'assign' }>): Partial | null {
  const v = s.value;
  if (v.kind !== 'op' || !FOLDS.has(v.op)) return null;
  return v.args.some((a) => a.kind === 'ref' && a.name === s.name) ? { op: v.op as FoldOp, type: v.type } : null;
}

/** Rewrites a loop body to vectors. The loop index stands for the first lane's. */
class Vectors {
  readonly #loop: For;
  readonly #partials: ReadonlyMap<string, string>;
  readonly #options: VectoriseOptions;
  readonly #varying: Set<string>;
  readonly #isIndex: ReadonlySet<string>;

  constructor(loop: For, partials: ReadonlyMap<string, string>, options: VectoriseOptions, body: readonly Stmt[]) {
    this.#loop = loop;
    this.#partials = partials;
    this.#options = options;
    this.#varying = varyingNames(loop.index, body);
    for (const name of partials.keys()) this.#varying.delete(name);
    this.#isIndex = new Set([loop.index]);
  }

  statements(body: readonly Stmt[]): readonly Stmt[] {
    return body.map((s) => this.statement(s));
  }

  private statement(s: Stmt): Stmt {
    switch (s.kind) {
      case 'let':
        return k.letStmt(s.name, this.value(s.value));
      case 'var': {
        if (!this.#varying.has(s.name)) return k.varStmt(s.name, this.value(s.init));
        if (s.type.lanes > 1) return refuse(VECTORS);
        return k.varStmt(s.name, k.splat(this.value(s.init), this.#options.lanes));
      }
      case 'assign': {
        const partial = this.#partials.get(s.name);
        if (partial !== undefined) return this.fold(s, partial);
        const isVarying = this.#varying.has(s.name);
        if (isVarying && s.value.type.lanes > 1) return refuse(VECTORS);
        const value = this.value(s.value);
        return k.assign(s.name, isVarying ? k.splat(value, this.#options.lanes) : value);
      }
      case 'store':
        return this.store(s);
      case 'for': {
        if (mentions(s.from, this.#varying) || mentions(s.to, this.#varying))
          return refuse('an inner loop’s bounds differ between lanes');
        return { ...s, body: this.statements(s.body) };
      }
      case 'if': {
        if (mentions(s.condition, this.#varying)) return refuse('a branch differs between lanes');
        return { ...s, then: this.statements(s.then), otherwise: this.statements(s.otherwise) };
      }
      case 'check': {
        if (mentions(s.condition, this.#varying)) return refuse('a check differs between lanes');
        return s;
      }
      case 'comment':
        return s;
      case 'barrier':
      case 'fragment':
      case 'mma':
      case 'touch':
        return refuse(`${s.kind} in the loop`);
    }
  }

  private fold(s: Extract<Stmt, { kind: 'assign' }>, partial: string): Stmt {
    const v = s.value as Extract<Expr, { kind: 'op' }>;
    const { lanes } = this.#options;
    const type = k.vector(v.type.scalar, lanes);
    const rest = v.args.find((a) => !(a.kind === 'ref' && a.name === s.name)) as Expr;
    return k.assign(partial, k.op(v.op, k.ref(partial, type), k.splat(this.value(rest), lanes)));
  }

  private store(s: Extract<Stmt, { kind: 'store' }>): Stmt {
    const buffer = bufferOf(this.#options.kernel, s.buffer);
    const how = movement(s, buffer, this.#loop, this.#options.lanes, this.#options.multiples);
    if (how !== 'contiguous' || this.mentionsComputed(s.indices)) return refuse(`${s.buffer} is not written in order`);
    if (buffer.storage === 'i8' || buffer.storage === 'f16')
      return refuse(`${s.buffer} is stored in ${buffer.storage}`);
    if (s.value.type.lanes > 1) return refuse(VECTORS);
    return k.store(s.buffer, s.indices, k.splat(this.value(s.value), this.#options.lanes));
  }

  /** Whether indices use names that became vectors (the loop index itself stays a scalar: the first lane's). */
  private mentionsComputed(indices: readonly Expr[]): boolean {
    const computed = new Set([...this.#varying].filter((n) => !this.#isIndex.has(n)));
    return indices.some((i) => mentions(i, computed));
  }

  /** The expression, as a vector when it depends on the loop, as it is when not. */
  private value(e: Expr): Expr {
    if (!mentions(e, this.#varying)) return e;
    if (e.type.lanes > 1) return refuse(VECTORS);
    const { lanes } = this.#options;
    switch (e.kind) {
      case 'ref': {
        if (!this.#isIndex.has(e.name)) return k.ref(e.name, k.vector(e.type.scalar, lanes));
        const places = Array.from({ length: lanes }, (_, lane) => k.i32(lane));
        return k.op('add', k.splat(e, lanes), k.lanesOf(places));
      }
      case 'load':
        return this.load(e);
      case 'op': {
        if (e.op === 'floordiv' || e.op === 'mod') return this.perLane(e);
        return k.op(e.op, ...e.args.map((a) => k.splat(this.value(a), lanes)));
      }
      default:
        return refuse(`${e.kind} of a value that differs between lanes`);
    }
  }

  private load(e: Extract<Expr, { kind: 'load' }>): Expr {
    const { lanes, kernel, multiples } = this.#options;
    const buffer = bufferOf(kernel, e.buffer);
    if (this.mentionsComputed(e.indices)) return refuse(`${e.buffer} is gathered`);
    const how = movement(e, buffer, this.#loop, lanes, multiples);
    if (how === 'contiguous') return k.load(e.buffer, e.indices, k.vector(e.type.scalar, lanes));
    return this.perLane(e);
  }

  /** One scalar for each lane. */
  private perLane(e: Expr): Expr {
    const computed = new Set([...this.#varying].filter((n) => !this.#isIndex.has(n)));
    if (mentions(e, computed)) return refuse('a value that has no vector form depends on computed values');
    const { lanes } = this.#options;
    const index = this.#loop.index;
    const elements = Array.from({ length: lanes }, (_, lane) => {
      const moved = substitute([k.letStmt('', e)], new Map([[index, k.add(k.index(index), k.i32(lane))]]))[0];
      return moved?.kind === 'let' ? moved.value : e;
    });
    return k.lanesOf(elements);
  }
}

/** Whether all loads and stores of a loop move with its index in order or not at all. */
export function movesInOrder(
  loop: For,
  kernel: Kernel,
  multiples: ReadonlyMap<string, number>,
  lanes: number,
): boolean {
  return [...loadsOf(loop.body), ...storesOf(loop.body)].every(
    (access) => movement(access, bufferOf(kernel, access.buffer), loop, lanes, multiples) !== 'scattered',
  );
}
