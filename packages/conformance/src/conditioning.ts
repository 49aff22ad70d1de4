/**
 * Whether a comparison in float32 means anything for a program, and how close it must come.
 *
 * Every operation that rounds is disturbed by a few units in the last place of float32, by another amount at every
 * setting of the indices, and the program interpreted again: what the results move by is what a compiled kernel may be
 * off. Where a decision goes another way (a route, an argmax, a branch), the program is ill-conditioned: two right
 * answers lie apart. Operations that float32 does exactly in any order are left alone, so ties among them count.
 */
import {
  type Computed,
  type Expr,
  InterpretError,
  interpretLayer,
  type LayerIR,
  Sizes,
  traceLayer,
} from '@espalier/ir';
import { type Reference, spread, type Tensors } from './layer-case.ts';

/** Relative disturbance: one to eleven half steps of this to either side, at most ten roundings of float32. */
const STEP = 1e-7;
/** The roundings that the largest disturbance stands for. */
const ROUNDINGS = 10;
/** Results that move by more than this part of the largest value (or of 1) are no ground for a comparison. */
const MOST_APART = 1e-3;

/** All values are multiples of `grain` (a power of two) of magnitude at most `most`. Null: not known. */
type Exact = { readonly grain: number; readonly most: number } | null;

/** What a float32 significand holds, less a bit. */
const SIGNIFICAND = 2 ** 23;

/**
 * The reference for a random program, or null when the program is ill-conditioned. `exact` names tensors whose f32 elements
 * are multiples of 1/16 in −1 … 1.
 */
export function conditionedReference(
  ir: LayerIR,
  dims: Readonly<Record<string, number>>,
  tensors: Tensors,
  exact: ReadonlySet<string>,
): Reference | null {
  const layer = traceLayer(ir);
  const keep = layer.tensors.filter((t) => t.role === 'output').map((t) => t.name);
  const expected = interpretLayer(layer, { dims, tensors, keep, strict: true });
  const analysis = new Exactness(layer, new Map(Object.entries(dims)), exact);
  const others = disturbances(() => [
    interpretLayer(layer, { dims, tensors, keep, precision: 'f32' }),
    interpretLayer(disturbed(layer, analysis, 5), { dims, tensors, keep }),
    interpretLayer(disturbed(layer, analysis, 11), { dims, tensors, keep }),
  ]);
  // An index that only the disturbed program computes lies outside: a fault is as right as none.
  if (others === null) return null;
  const allowed: Record<string, number> = {};
  for (const name of keep) {
    const values = expected[name] as Computed;
    allowed[name] = 0;
    if (!(values instanceof Int32Array) && analysis.isExact(name)) {
      if (others.some((o) => !sameFinite(values, o[name] as Computed) || spread(values, o[name] as Computed).apart > 0))
        return null;
      continue;
    }
    let apart = 0;
    let most = 0;
    for (const other of others) {
      const disturbedValues = other[name] as Computed;
      if (values instanceof Int32Array) {
        if (values.some((v, i) => v !== disturbedValues[i])) return null;
        continue;
      }
      if (!sameFinite(values, disturbedValues)) return null;
      const { apart: distance, largest } = spread(values, disturbedValues);
      apart = Math.max(apart, distance);
      most = largest;
    }
    if (apart > MOST_APART * Math.max(1, most)) return null;
    if (!(values instanceof Int32Array)) allowed[name] = 6 * apart + 2e-6 * most + 1e-30;
  }
  return { layer, dims, tensors, expected, allowed };
}

/** Whether the interpreter found what a run must end with a fault for. */
export const isFault = (error: unknown): error is InterpretError =>
  error instanceof InterpretError && (error.code === 'out-of-range' || error.code === 'bad-divisor');

/** What `run` gives, or null where it finds a fault. */
function disturbances<R>(run: () => R): R | null {
  try {
    return run();
  } catch (error) {
    if (isFault(error)) return null;
    throw error;
  }
}

/** NaN where NaN is, and the same infinities. */
const sameFinite = (a: Computed, b: Computed): boolean =>
  a.every(
    (v, i) => Number.isFinite(v) === Number.isFinite(b[i] as number) && (Number.isFinite(v) || Object.is(v, b[i])),
  );

/** Which f32 expressions float32 computes without rounding, in whatever order. */
class Exactness {
  readonly #layer: LayerIR;
  readonly #dims: ReadonlyMap<string, number>;
  readonly #tensors = new Map<string, Exact>();
  readonly #known = new Map<Expr, Exact>();
  readonly #sizes = new Map<string, number>();
  readonly #locals = new Map<string, Exact>();

  constructor(layer: LayerIR, dims: ReadonlyMap<string, number>, exact: ReadonlySet<string>) {
    this.#layer = layer;
    this.#dims = dims;
    for (const t of layer.tensors) {
      if (t.storage === 'i8' || t.storage === 'i32') this.#tensors.set(t.name, { grain: 1, most: 1000 });
      else this.#tensors.set(t.name, exact.has(t.name) ? { grain: 1 / 16, most: 1 } : null);
    }
    for (const s of layer.statements) {
      this.#sizes.clear();
      for (const a of s.axes) this.#sizes.set(a.name, Sizes.evaluate(a.size, dims));
      const value = this.of(s.value);
      if (value !== null || s.value.type !== 'i32') this.#tensors.set(s.target, value);
    }
  }

  of(e: Expr): Exact {
    const known = this.#known.get(e);
    if (known !== undefined) return known;
    const found = this.#find(e);
    const fits = found !== null && found.most / found.grain <= SIGNIFICAND ? found : null;
    this.#known.set(e, fits);
    return fits;
  }

  /** How many terms a reduction has. */
  count(e: Extract<Expr, { kind: 'reduce' }>): number {
    return e.indices.reduce((n, i) => n * Sizes.evaluate(i.size, this.#dims), 1);
  }

  isExact(tensor: string): boolean {
    return this.#layer.statements.some((s) => s.target === tensor) && this.#tensors.get(tensor) !== null;
  }

  #find(e: Expr): Exact {
    switch (e.kind) {
      case 'literal':
        return grainOf(e.value);
      case 'index':
        return { grain: 1, most: this.#sizes.get(e.name) ?? SIGNIFICAND };
      case 'size':
        return { grain: 1, most: Math.abs(Sizes.evaluate(e.size, this.#dims)) };
      case 'local':
        return this.#locals.get(e.name) ?? null;
      case 'access':
        for (const i of e.indices) this.of(i);
        return this.#tensors.get(e.tensor) ?? null;
      case 'select':
        this.of(e.condition);
        return either(this.of(e.then), this.of(e.otherwise));
      case 'op':
        return this.#op(
          e.op,
          e.args.map((a) => this.of(a)),
        );
      case 'reduce': {
        for (const i of e.indices) this.#sizes.set(i.name, Sizes.evaluate(i.size, this.#dims));
        const count = this.count(e);
        const body = this.of(e.body);
        if (e.op === 'argmax' || e.op === 'argmin') return { grain: 1, most: count };
        if (body === null || count === 0 || e.op === 'prod') return null;
        return e.op === 'sum' ? { grain: body.grain, most: body.most * count } : body;
      }
      case 'descend': {
        this.#locals.set(e.node, { grain: 1, most: 10_000 });
        this.of(e.init);
        for (const l of e.lets) this.#locals.set(l.name, this.of(l.value));
        this.of(e.next);
        if (e.result !== null) return this.of(e.result);
        const yielded = e.yield === null ? null : this.of(e.yield);
        return yielded && { grain: yielded.grain, most: yielded.most * Sizes.evaluate(e.levels, this.#dims) };
      }
    }
  }

  #op(op: string, args: readonly Exact[]): Exact {
    const [a = null, b = null] = args;
    switch (op) {
      case 'add':
      case 'sub':
        return a && b && { grain: Math.min(a.grain, b.grain), most: a.most + b.most };
      case 'mul':
        return a && b && { grain: a.grain * b.grain, most: a.most * b.most };
      case 'min':
      case 'max':
        return either(a, b);
      case 'neg':
      case 'abs':
      case 'to_f32':
        return a;
      case 'floor':
      case 'to_i32':
        return a && { grain: 1, most: a.most + 1 };
      case 'mod':
      case 'floordiv':
        return a && b && { grain: 1, most: a.most + b.most + 1 };
      default:
        return null;
    }
  }
}

const either = (a: Exact, b: Exact): Exact =>
  a && b && { grain: Math.min(a.grain, b.grain), most: Math.max(a.most, b.most) };

function grainOf(value: number): Exact {
  for (let grain = 1; grain >= 2 ** -16; grain /= 2)
    if (Number.isInteger(value / grain)) return { grain, most: Math.abs(value) };
  return null;
}

const rounding: ReadonlySet<string> = new Set([
  'add',
  'sub',
  'mul',
  'div',
  'sqrt',
  'exp',
  'ln',
  'tanh',
  'erf',
  'to_f32',
]);

/** The layer with every rounding operation disturbed. */
function disturbed(layer: LayerIR, analysis: Exactness, seed: number): LayerIR {
  let serial = seed;
  const noisy = (e: Expr, indices: readonly string[], times = 1): Expr => {
    const { span } = e;
    const i32 = (value: number): Expr => ({ kind: 'literal', value, type: 'i32', span });
    const f32 = (value: number): Expr => ({ kind: 'literal', value, type: 'f32', span });
    const op = (name: 'add' | 'mul' | 'mod' | 'to_f32', type: 'i32' | 'f32', ...args: Expr[]): Expr => ({
      kind: 'op',
      op: name,
      args,
      type,
      span,
    });
    serial = (serial * 31 + seed) % 9973;
    let place: Expr = i32(serial % 12);
    indices.forEach((name, i) => {
      const at: Expr = { kind: 'index', name, type: 'i32', span };
      place = op('add', 'i32', place, op('mul', 'i32', at, i32(3 + ((serial + 5 * i) % 7))));
    });
    // Odd numbers of half steps: never none, which would say that the operation does not round.
    const halves = op('add', 'i32', op('mul', 'i32', op('mod', 'i32', place, i32(12)), i32(2)), i32(-11));
    const step = op('mul', 'f32', op('to_f32', 'f32', halves), f32((STEP / 2) * times));
    return op('mul', 'f32', e, op('add', 'f32', f32(1), step));
  };
  const visit = (e: Expr, indices: readonly string[]): Expr => {
    const rounds = e.type === 'f32' && analysis.of(e) === null;
    const inside = (x: Expr): Expr => visit(x, indices);
    switch (e.kind) {
      case 'access':
        return { ...e, indices: e.indices.map(inside) };
      case 'op': {
        const op = { ...e, args: e.args.map(inside) };
        return rounds && rounding.has(e.op) ? noisy(op, indices) : op;
      }
      case 'select':
        return { ...e, condition: inside(e.condition), then: inside(e.then), otherwise: inside(e.otherwise) };
      case 'reduce': {
        const names = e.indices.map((i) => i.name);
        const within = [...indices, ...names];
        const body = visit(e.body, within);
        if (!rounds) return { ...e, body };
        // A sum's roundings are relative to its partial sums, which may be larger than what is left of them in the end.
        const rounded = e.body.kind === 'op' && rounding.has(e.body.op);
        if (e.op === 'sum') return noisy({ ...e, body: rounded ? body : noisy(body, within) }, indices);
        // A product's add up, and where lanes multiply the same factors they are the same ones, in one direction.
        if (e.op === 'prod') return noisy({ ...e, body }, indices, Math.max(1, analysis.count(e) / ROUNDINGS));
        return { ...e, body };
      }
      case 'descend': {
        const walk: Expr = {
          ...e,
          init: inside(e.init),
          lets: e.lets.map((l) => ({ ...l, value: inside(l.value) })),
          yield: e.yield && inside(e.yield),
          next: inside(e.next),
          result: e.result && inside(e.result),
        };
        return rounds && e.yield !== null ? noisy(walk, indices) : walk;
      }
      default:
        return e;
    }
  };
  return {
    ...layer,
    statements: layer.statements.map((s) => ({
      ...s,
      value: visit(
        s.value,
        s.axes.map((a) => a.name),
      ),
    })),
  };
}
