/**
 * How far may a float32 run's score lie from the exact one? For every comparison that a trace records, two numbers are
 * computed beside it:
 *
 * - bound: γ_n · magnitude, γ_n = n·u / (1 − n·u), u = 2⁻²⁴, where the magnitude is the score with every term made positive
 *   (Σ|x_i·w_i| + |b|) and n counts the roundings on the longest way from an operand to the score. It holds for every
 *   order of summation, with or without fused multiply-adds;
 * - gain: how far the score moves per unit of error in the layer's inputs (Σ|w_i| for a dot product), to first order.
 *   A layer in the middle of a model has inputs that carry the error of what came before.
 *
 * Values that are discrete (i32, conditions, floor's steps, which branch of a select) are taken to be decided alike.
 * Functions other than + − · are bounded by their derivative at the computed value, and counted as several roundings, since
 * targets may expand them.
 */

import { childrenOf } from '../children.ts';
import type { Descend, Expr, LayerIR, Let, ScalarOp, Trace } from '../layer-ir.ts';
import { routeLets } from '../trace.ts';
import type { EmitContext, Emitter } from './emitter.ts';
import { numberText } from './scalar.ts';

/** Texts for magnitude and gain, and the number of roundings. */
export interface Bound {
  readonly magnitude: string;
  readonly gain: string;
  readonly roundings: number;
}

export interface BoundPlan {
  /** Absolute error that the layer's inputs carry. */
  readonly inputError: number;
  /** Tensors computed by the layer whose own errors reach a score. */
  readonly spread: ReadonlySet<string>;
  /** The roundings in each of those; filled as statements are written, in order. */
  readonly roundings: Map<string, number>;
}

/** Writes bounds beside values. */
export interface Bounds {
  of(expr: Expr): Bound;
  bindLet(item: Let): void;
  /** Assigns the bound and the gain of `left − right` to two variables. */
  writeScore(left: Expr, right: Expr, bound: string, gain: string): void;
}

const unitRoundoff = 2 ** -24;
/** Roundings that a division and a square root count as (WGSL allows them 2.5 units in the last place). */
const roundedRoot = 3;
/** Roundings that exp, ln, tanh and erf count as. */
const roundedFunction = 8;

/** γ_n of Higham's error analysis; infinite where float32 promises nothing any more. */
export function gamma(n: number): number {
  const nu = n * unitRoundoff;
  return nu < 1 ? nu / (1 - nu) : Number.POSITIVE_INFINITY;
}

const renamed = (trace: Trace, word: string): string =>
  /\.scores(\.\d+)?$/.test(trace.scores)
    ? trace.scores.replace(/\.scores(\.\d+)?$/, `.${word}$1`)
    : `${trace.scores}.${word}`;
/** The name of a trace's bounds: `y.scores.1` → `y.bounds.1`. */
export const boundsName = (trace: Trace): string => renamed(trace, 'bounds');
/** The name of a trace's gains: `y.scores.1` → `y.gains.1`. */
export const gainsName = (trace: Trace): string => renamed(trace, 'gains');
/** Scratch that holds the magnitudes of a computed tensor. */
export const magnitudeName = (tensor: string): string => `${tensor}#magnitude`;
/** Scratch that holds the gains of a computed tensor. */
export const tensorGainName = (tensor: string): string => `${tensor}#gain`;

function descentsIn(expr: Expr): readonly Descend[] {
  return [...(expr.kind === 'descend' ? [expr] : []), ...childrenOf(expr).flatMap(descentsIn)];
}

function tensorsIn(expr: Expr): readonly string[] {
  return [...(expr.kind === 'access' ? [expr.tensor] : []), ...childrenOf(expr).flatMap(tensorsIn)];
}

/** The traces of all descents of a layer. */
export function tracesOf(ir: LayerIR): readonly Trace[] {
  return ir.statements.flatMap(({ value }) =>
    descentsIn(value).flatMap(({ trace }) => (trace === null ? [] : [trace])),
  );
}

/** What a layer's bounds need: which of the tensors it computes reach a score, directly or through each other. */
export function planBounds(ir: LayerIR, inputError: number): BoundPlan {
  const reaching = new Set<string>();
  for (const { value } of ir.statements) {
    for (const descend of descentsIn(value)) {
      for (const expr of [descend.next, ...routeLets(descend).map((item) => item.value)]) {
        for (const name of tensorsIn(expr)) reaching.add(name);
      }
    }
  }
  const spread = new Set<string>();
  for (const statement of [...ir.statements].reverse()) {
    const storage = ir.tensors.find((tensor) => tensor.name === statement.target)?.storage;
    if (!reaching.has(statement.target) || storage !== 'f32') continue;
    spread.add(statement.target);
    for (const name of tensorsIn(statement.value)) reaching.add(name);
  }
  return { inputError, spread, roundings: new Map() };
}

/** The bound of an operation from its operands' values and bounds and its own value; texts in, texts out. */
type Rule = (v: string, a: string, A: Bound, b: string, B: Bound) => Bound;

const exact: Bound = { magnitude: '0', gain: '0', roundings: 0 };
const sum = (x: string, y: string): string => (x === '0' ? y : y === '0' ? x : `(${x} + ${y})`);
const times = (x: string, y: string): string => (x === '0' || y === '0' ? '0' : `${x} * ${y}`);
const abs = (x: string): string => `Math.abs(${x})`;
const most = (x: string, y: string): string => (x === y ? x : `Math.max(${x}, ${y})`);

const additive: Rule = (_v, _a, A, _b, B) => ({
  magnitude: sum(A.magnitude, B.magnitude),
  gain: sum(A.gain, B.gain),
  roundings: Math.max(A.roundings, B.roundings) + 1,
});
const extremal: Rule = (_v, _a, A, _b, B) => ({
  magnitude: most(A.magnitude, B.magnitude),
  gain: most(A.gain, B.gain),
  roundings: Math.max(A.roundings, B.roundings),
});
const same: Rule = (_v, _a, A) => A;
/** |f'| ≤ slope at the computed value: errors are stretched by it, and the value itself is rounded. */
const sloped =
  (slope: (v: string, a: string) => string): Rule =>
  (v, a, A) => ({
    magnitude: `(${abs(v)} + ${slope(v, a)} * ${A.magnitude})`,
    gain: times(slope(v, a), A.gain),
    roundings: A.roundings + roundedFunction,
  });
const discrete: Rule = (v) => ({ ...exact, magnitude: abs(v) });

const rules: { readonly [K in ScalarOp]: Rule } = {
  add: additive,
  sub: additive,
  mul: (_v, a, A, b, B) => ({
    magnitude: `${A.magnitude} * ${B.magnitude}`,
    gain: sum(times(A.gain, abs(b)), times(abs(a), B.gain)),
    roundings: A.roundings + B.roundings + 1,
  }),
  div: (v, _a, A, b, B) => ({
    magnitude: `(${A.magnitude} / ${abs(b)} * (${B.magnitude} / ${abs(b)}))`,
    gain: A.gain === '0' && B.gain === '0' ? '0' : `(${sum(A.gain, times(abs(v), B.gain))} / ${abs(b)})`,
    roundings: A.roundings + B.roundings + roundedRoot,
  }),
  min: extremal,
  max: extremal,
  neg: same,
  abs: same,
  floor: same,
  sqrt: (v, a, A) => ({
    magnitude: `(${v} > 0 ? ${v} * (${A.magnitude} / ${a}) : Math.sqrt(${A.magnitude}))`,
    gain: A.gain === '0' ? '0' : `(${A.gain} / (2 * ${v}))`,
    roundings: A.roundings + roundedRoot,
  }),
  exp: sloped((v) => v),
  ln: sloped((_v, a) => `(1 / ${abs(a)})`),
  tanh: sloped(() => '1'),
  erf: sloped(() => numberText(2 / Math.sqrt(Math.PI))),
  to_f32: (v) => ({ ...exact, magnitude: abs(v), roundings: 1 }),
  floordiv: discrete,
  mod: discrete,
  to_i32: discrete,
  eq: discrete,
  ne: discrete,
  lt: discrete,
  le: discrete,
  gt: discrete,
  ge: discrete,
  and: discrete,
  or: discrete,
  not: discrete,
};

/** Bounds for the expressions of one statement. */
export function boundEmitter(emitter: Emitter, context: EmitContext, plan: BoundPlan): Bounds {
  const { value, push, hold, fresh, block, loops } = emitter;
  const lets = new Map<string, Bound>();

  const held = (bound: Bound): Bound => ({ ...bound, magnitude: hold(bound.magnitude), gain: hold(bound.gain) });

  function access(expr: Extract<Expr, { kind: 'access' }>): Bound {
    const role = context.ir.tensors.find((tensor) => tensor.name === expr.tensor)?.role;
    if (!plan.spread.has(expr.tensor)) {
      return { magnitude: abs(value(expr)), gain: role === 'input' ? '1' : '0', roundings: 0 };
    }
    const place = hold(emitter.offset(expr.indices.map(value), context.shapes.get(expr.tensor) ?? []));
    return {
      magnitude: `${emitter.array(magnitudeName(expr.tensor))}[${place}]`,
      gain: `${emitter.array(tensorGainName(expr.tensor))}[${place}]`,
      roundings: plan.roundings.get(expr.tensor) ?? 0,
    };
  }

  /** Accumulates inside a loop that `around` writes; `steps` is how many terms there are. */
  function accumulate(
    body: Expr,
    how: 'sum' | 'prod' | 'extreme',
    steps: number,
    around: (inner: () => void) => void,
  ): Bound {
    const [magnitude, gain] = [fresh(), fresh()];
    let roundings = 0;
    push(`let ${magnitude} = ${how === 'prod' ? 1 : 0}, ${gain} = 0;`);
    around(() => {
      const term = held(of(body));
      roundings = term.roundings;
      if (how === 'sum') push(`${gain} += ${term.gain}; ${magnitude} += ${term.magnitude};`);
      else if (how === 'extreme')
        push(`${gain} = ${most(gain, term.gain)}; ${magnitude} = ${most(magnitude, term.magnitude)};`);
      else
        push(`${gain} = ${gain} * ${term.magnitude} + ${magnitude} * ${term.gain}; ${magnitude} *= ${term.magnitude};`);
    });
    const total = how === 'sum' ? roundings + steps : how === 'prod' ? steps * (roundings + 1) : roundings;
    return { magnitude, gain, roundings: total };
  }

  function select(expr: Extract<Expr, { kind: 'select' }>): Bound {
    const [magnitude, gain] = [fresh(), fresh()];
    let roundings = 0;
    const branch = (taken: Expr) => (): void => {
      const bound = of(taken);
      roundings = Math.max(roundings, bound.roundings);
      push(`${magnitude} = ${bound.magnitude}; ${gain} = ${bound.gain};`);
    };
    const condition = value(expr.condition);
    push(`let ${magnitude}, ${gain};`);
    block(`if (${condition})`, branch(expr.then));
    block('else', branch(expr.otherwise));
    return { magnitude, gain, roundings };
  }

  function of(expr: Expr): Bound {
    if (expr.type === 'bool') return exact;
    if (expr.type === 'i32') return { ...exact, magnitude: abs(value(expr)) };
    switch (expr.kind) {
      case 'literal':
        return {
          magnitude: numberText(Math.abs(expr.value)),
          gain: '0',
          roundings: Math.fround(expr.value) === expr.value ? 0 : 1,
        };
      case 'local': {
        const known = lets.get(expr.name);
        if (known === undefined) throw new Error(`no bound is known for ${expr.name}`);
        return known;
      }
      case 'access':
        return access(expr);
      case 'op': {
        const [a, b] = expr.args;
        if (a === undefined) throw new Error(`${expr.op} needs an operand`);
        const right = b === undefined ? { text: '0', bound: exact } : { text: hold(value(b)), bound: held(of(b)) };
        return held(rules[expr.op](hold(value(expr)), hold(value(a)), held(of(a)), right.text, right.bound));
      }
      case 'select':
        return select(expr);
      case 'reduce': {
        const how = expr.op === 'sum' || expr.op === 'prod' ? expr.op : 'extreme';
        const steps = expr.indices.reduce((product, index) => product * emitter.extent(index), 1);
        return accumulate(expr.body, how, steps, (inner) => loops(expr.indices, inner));
      }
      case 'descend': {
        const { result } = expr;
        if (expr.yield === null) {
          let bound = exact;
          emitter.atEnd(expr, () => {
            if (result !== null) bound = of(result);
          });
          return bound;
        }
        return accumulate(expr.yield, 'sum', levelsOf(expr), (inner) =>
          emitter.replay(expr, () => {
            for (const item of expr.lets) bindLet(item);
            inner();
          }),
        );
      }
    }
  }

  const levelsOf = (descend: Descend): number => emitter.extent({ name: '', size: descend.levels, span: descend.span });

  function bindLet(item: Let): void {
    if (item.value.type === 'f32') lets.set(item.name, held(of(item.value)));
  }

  function writeScore(left: Expr, right: Expr, bound: string, gain: string): void {
    const [a, b] = [of(left), of(right)];
    push(`${gain} = ${sum(a.gain, b.gain)};`);
    const carried = plan.inputError === 0 ? '0' : `${numberText(plan.inputError)} * ${gain}`;
    const rounding = `${gamma(a.roundings)} * ${a.magnitude} + ${gamma(b.roundings)} * ${b.magnitude}`;
    push(`${bound} = ${sum(`(${rounding})`, carried)};`);
  }

  return { of, bindLet, writeScore };
}
