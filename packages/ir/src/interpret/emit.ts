/**
 * One statement → one plain JavaScript function: the loops that the statement says, written as text.
 *
 * The only idea beyond the obvious is in `walk`: a descent's route is walked when it is first needed and remembered for
 * every value that takes the same route (see `routesOf`), because all outputs of a token share one path. The record is
 * also what a trace asks for. Everything else is evaluated as written, in order, each time.
 */
import type { Descend, Expr, IndexRange, ReduceOp, Statement } from '../layer-ir.ts';
import { evaluate } from '../size.ts';
import { routeLets, routesOf } from '../trace.ts';
import { type Bounds, boundEmitter, boundsName, gainsName, magnitudeName, tensorGainName } from './bounds.ts';
import type { EmitContext, Emitter, Scratch, Site, StatementProgram } from './emitter.ts';
import { comparisons, numberText, scalarText } from './scalar.ts';
import { elementCount } from './tensors.ts';

interface Walk {
  readonly at: string;
  readonly levels: number;
  readonly nodes: string;
  readonly ends: string;
  readonly lets: ReadonlyMap<string, string>;
}

const neutral: { readonly [K in Exclude<ReduceOp, 'argmax' | 'argmin'>]: (integer: boolean) => string } = {
  sum: () => '0',
  prod: () => '1',
  max: (integer) => (integer ? '-2147483648' : '-Infinity'),
  min: (integer) => (integer ? '2147483647' : 'Infinity'),
};
const combining = { sum: 'add', prod: 'mul', max: 'max', min: 'min' } as const;

/** Writes the function of one statement. Throws RangeError for a size with an unknown dim. */
export function emitStatement(context: EmitContext, statement: Statement): StatementProgram {
  let lines: string[] = [];
  let serial = 0;
  const arrays = new Map<string, { variable: string; scratch: Scratch | null }>();
  const variables = new Map<string, string>();
  const around: string[] = [];
  const sites: Site[] = [];
  const scopes: Map<Expr, string>[] = [new Map()];
  const routes = routesOf(statement);
  const walkNames = new Map<Descend, string>();
  /** Where comparisons leave what a decision hung on, while `next` is being written. */
  let recorder: {
    readonly score: string;
    readonly compared: string;
    readonly bound: string;
    readonly gain: string;
  } | null = null;

  const fresh = (): string => `v${serial++}`;
  const push = (line: string): void => {
    lines.push(line);
  };
  const size = (range: IndexRange): number => Math.max(0, evaluate(range.size, context.dims));
  const rounded = (text: string): string => (context.precision === 'f32' ? `Math.fround(${text})` : text);

  function hold(text: string): string {
    if (/^\w+$/.test(text)) return text;
    const name = fresh();
    push(`const ${name} = ${text};`);
    return name;
  }

  function block(header: string, body: () => void): void {
    push(`${header} {`);
    scopes.push(new Map());
    body();
    scopes.pop();
    push('}');
  }

  function capture(body: () => string): { readonly text: string; readonly written: readonly string[] } {
    const outer = lines;
    lines = [];
    scopes.push(new Map());
    const text = body();
    scopes.pop();
    const written = lines;
    lines = outer;
    return { text, written };
  }

  /** An expression object that occurs again where its loops have just run needn't run them again. */
  function once(expr: Expr, write: () => string): string {
    for (const scope of scopes) {
      const known = scope.get(expr);
      if (known !== undefined) return known;
    }
    const text = write();
    scopes.at(-1)?.set(expr, text);
    return text;
  }

  function loops(indices: readonly IndexRange[], body: () => void): void {
    const [first, ...rest] = indices;
    if (first === undefined) {
      body();
      return;
    }
    const variable = fresh();
    variables.set(first.name, variable);
    around.push(first.name);
    block(`for (let ${variable} = 0; ${variable} < ${size(first)}; ${variable}++)`, () => loops(rest, body));
    around.pop();
  }

  function array(name: string, scratch: Scratch | null = null): string {
    const known = arrays.get(name);
    if (known !== undefined) return known.variable;
    const variable = `a${arrays.size}`;
    arrays.set(name, { variable, scratch });
    return variable;
  }

  const variable = (name: string): string => {
    const known = variables.get(name);
    if (known === undefined) throw new Error(`statement ${statement.target}: ${name} is used where it is not bound`);
    return known;
  };

  function offset(indices: readonly string[], shape: readonly number[]): string {
    return indices.reduce(
      (text, index, k) => (k === 0 ? index : `(Math.imul(${text}, ${shape[k]}) + ${index} | 0)`),
      '0',
    );
  }

  function access(expr: Extract<Expr, { kind: 'access' }>): string {
    const shape = context.shapes.get(expr.tensor) ?? [];
    const indices = expr.indices.map((index, k) => {
      const text = value(index);
      if (!context.strict && expr.inBounds[k] === true) return text;
      const held = hold(text);
      const names = [...around];
      const site = sites.push({ checked: expr, around: names }) - 1;
      push(
        `if (!(${held} >= 0 && ${held} < ${shape[k]})) fail(${site}, ${k}, ${held}, [${names.map(variable).join(', ')}]);`,
      );
      return held;
    });
    const element = `${array(expr.tensor)}[${offset(indices, shape)}]`;
    return expr.type === 'f32' ? rounded(element) : element;
  }

  function compare(expr: Extract<Expr, { kind: 'op' }>): string {
    const [left, right] = expr.args;
    if (left === undefined || right === undefined) throw new Error(`${expr.op} needs two operands`);
    const a = hold(value(left));
    const b = hold(value(right));
    if (recorder !== null && left.type === 'f32') {
      const { score, compared, bound, gain } = recorder;
      const difference = hold(`${a} - ${b}`);
      block(`if (!${compared} || Math.abs(${difference}) < Math.abs(${score}))`, () => {
        push(`${compared} = true; ${score} = ${difference};`);
        recorder = null;
        bounds?.writeScore(left, right, bound, gain);
      });
      recorder = { score, compared, bound, gain };
    }
    return scalarText[expr.op](a, b, left.type);
  }

  function checkDivisor(expr: Extract<Expr, { kind: 'op' }>, divisor: string): void {
    const [, by] = expr.args;
    // The checker refuses numbers below 0; 0 is what a size of compile time may be.
    if (by?.kind === 'literal' && by.value !== 0) return;
    const names = [...around];
    const site = sites.push({ checked: expr, around: names }) - 1;
    push(`if (!(${divisor} >= 1)) fail(${site}, 1, ${divisor}, [${names.map(variable).join(', ')}]);`);
  }

  function reduce(expr: Extract<Expr, { kind: 'reduce' }>): string {
    const result = fresh();
    if (expr.op === 'argmax' || expr.op === 'argmin') {
      const [best, found] = [fresh(), fresh()];
      push(`let ${result} = 0, ${best} = 0, ${found} = false;`);
      loops(expr.indices, () => {
        const candidate = hold(value(expr.body));
        const better = `${candidate} ${expr.op === 'argmax' ? '>' : '<'} ${best}`;
        const index = variable(expr.indices[0]?.name ?? '');
        push(
          `if (${candidate} === ${candidate} && (!${found} || ${better})) { ${found} = true; ${best} = ${candidate}; ${result} = ${index}; }`,
        );
      });
      return result;
    }
    const op = combining[expr.op];
    push(`let ${result} = ${neutral[expr.op](expr.type === 'i32')};`);
    loops(expr.indices, () => {
      const combined = scalarText[op](result, value(expr.body), expr.type);
      push(`${result} = ${expr.type === 'f32' ? rounded(combined) : combined};`);
    });
    return result;
  }

  /** Writes the walk of a descent, unless it was walked before for these indices, and says where it is remembered. */
  function walk(descend: Descend): Walk {
    const route = descend.trace?.indices ?? routes.get(descend) ?? null;
    const levels = Math.max(0, evaluate(descend.levels, context.dims));
    const sizes = (route ?? []).map(size);
    const count = elementCount(sizes);
    const name = walkNames.get(descend) ?? `${statement.target}#walk${walkNames.size}`;
    walkNames.set(descend, name);
    const deciding = routeLets(descend);
    const record: Scratch = { kind: 'i32', length: count * levels, fill: 0 };
    const nodes = array(descend.trace?.nodes ?? `${name}.nodes`, record);
    const ends = array(`${name}.ends`, { kind: 'i32', length: count, fill: 0 });
    const done = array(`${name}.done`, { kind: 'i32', length: count, fill: 0 });
    const lets = new Map(
      deciding.map((item) => {
        const kind = item.value.type === 'f32' ? 'f64' : 'i32';
        return [item.name, array(`${name}.${item.name}`, { kind, length: count * levels, fill: 0 })];
      }),
    );
    const at = hold(
      offset(
        (route ?? []).map((index) => variable(index.name)),
        sizes,
      ),
    );

    block(route === null ? '' : `if (!${done}[${at}])`, () => {
      const node = fresh();
      const level = fresh();
      push(`let ${node} = ${value(descend.init)};`);
      variables.set(descend.node, node);
      block(`for (let ${level} = 0; ${level} < ${levels}; ${level}++)`, () => {
        const step = hold(`Math.imul(${at}, ${levels}) + ${level} | 0`);
        const outer = recorder;
        const own = { score: fresh(), compared: fresh(), bound: fresh(), gain: fresh() };
        const recording = descend.trace === null ? null : own;
        push(`let ${own.score} = 0, ${own.compared} = false, ${own.bound} = 0, ${own.gain} = 0;`);
        for (const item of deciding) {
          recorder = item.value.type === 'f32' ? null : recording;
          const text = hold(value(item.value));
          variables.set(item.name, text);
          push(`${lets.get(item.name)}[${step}] = ${text};`);
          if (descend.trace !== null) bounds?.bindLet(item);
        }
        recorder = recording;
        const next = hold(value(descend.next));
        recorder = outer;
        push(`${nodes}[${step}] = ${node};`);
        if (descend.trace !== null) {
          const scores = { kind: 'f64', length: count * levels, fill: 0 } as const;
          push(`${array(descend.trace.scores, scores)}[${step}] = ${own.score};`);
          if (bounds !== null) {
            push(`${array(boundsName(descend.trace), scores)}[${step}] = ${own.bound};`);
            push(`${array(gainsName(descend.trace), scores)}[${step}] = ${own.gain};`);
          }
        }
        push(`${node} = ${next};`);
      });
      push(`${ends}[${at}] = ${node}; ${done}[${at}] = 1;`);
    });
    return { at, levels, nodes, ends, lets };
  }

  function replay(descend: Descend, body: () => void): void {
    const { at, levels, nodes, lets } = walk(descend);
    const level = fresh();
    block(`for (let ${level} = 0; ${level} < ${levels}; ${level}++)`, () => {
      const step = hold(`Math.imul(${at}, ${levels}) + ${level} | 0`);
      variables.set(descend.node, hold(`${nodes}[${step}]`));
      for (const item of descend.lets) {
        const remembered = lets.get(item.name);
        const flag = item.value.type === 'bool' ? ' !== 0' : '';
        variables.set(item.name, hold(remembered === undefined ? value(item.value) : `${remembered}[${step}]${flag}`));
      }
      body();
    });
  }

  function atEnd(descend: Descend, body: () => void): void {
    const { ends, at } = walk(descend);
    variables.set(descend.node, hold(`${ends}[${at}]`));
    body();
  }

  function descent(expr: Descend): string {
    const outer = recorder;
    recorder = null;
    let result = '';
    if (expr.result !== null) {
      const last = expr.result;
      atEnd(expr, () => {
        result = value(last);
      });
    } else if (expr.yield !== null) {
      const yielded = expr.yield;
      result = fresh();
      push(`let ${result} = 0;`);
      replay(expr, () => {
        const sum = scalarText.add(result, value(yielded), expr.type);
        push(`${result} = ${expr.type === 'f32' ? rounded(sum) : sum};`);
      });
    }
    recorder = outer;
    return result;
  }

  function select(expr: Extract<Expr, { kind: 'select' }>): string {
    const condition = value(expr.condition);
    const then = capture(() => value(expr.then));
    const otherwise = capture(() => value(expr.otherwise));
    if (then.written.length + otherwise.written.length === 0)
      return `(${condition} ? ${then.text} : ${otherwise.text})`;
    const result = fresh();
    push(`let ${result};`);
    push(`if (${condition}) {`);
    lines.push(
      ...then.written,
      `${result} = ${then.text};`,
      '} else {',
      ...otherwise.written,
      `${result} = ${otherwise.text};`,
      '}',
    );
    return result;
  }

  function value(expr: Expr): string {
    switch (expr.kind) {
      case 'literal':
        if (expr.type === 'bool') return String(expr.value !== 0);
        return numberText(expr.type === 'f32' && context.precision === 'f32' ? Math.fround(expr.value) : expr.value);
      case 'index':
      case 'local':
        return variable(expr.name);
      case 'size':
        return numberText(evaluate(expr.size, context.dims));
      case 'access':
        return access(expr);
      case 'op': {
        if (comparisons.has(expr.op)) return compare(expr);
        const [first, second] = expr.args.map(value);
        if (expr.op === 'floordiv' || expr.op === 'mod') checkDivisor(expr, second ?? '');
        const text = scalarText[expr.op](first ?? '', second ?? '', expr.args[0]?.type ?? 'f32');
        return expr.type === 'f32' ? rounded(text) : text;
      }
      case 'select':
        return select(expr);
      case 'reduce':
        return once(expr, () => reduce(expr));
      case 'descend':
        return once(expr, () => descent(expr));
    }
  }

  const emitter: Emitter = { value, push, hold, fresh, block, loops, array, offset, replay, atEnd, extent: size };
  const bounds: Bounds | null = context.bounds === null ? null : boundEmitter(emitter, context, context.bounds);

  loops(statement.axes, () => {
    const result = value(statement.value);
    const place = hold(
      offset(
        statement.axes.map((axis) => variable(axis.name)),
        statement.axes.map(size),
      ),
    );
    push(`${array(statement.target)}[${place}] = ${result};`);
    if (bounds !== null && context.bounds?.spread.has(statement.target) === true) {
      const length = elementCount(statement.axes.map(size));
      const [magnitudes, gains] = [magnitudeName(statement.target), tensorGainName(statement.target)].map((name) =>
        array(name, { kind: 'f64', length, fill: 0 }),
      );
      const bound = bounds.of(statement.value);
      push(`${magnitudes}[${place}] = ${bound.magnitude}; ${gains}[${place}] = ${bound.gain};`);
      context.bounds.roundings.set(statement.target, bound.roundings);
    }
  });
  const named = [...arrays].map(([name, { scratch }]) => ({ name, scratch }));
  const heads = [...arrays.values()].map((entry, i) => `const ${entry.variable} = arrays[${i}];`);
  return { text: ['"use strict";', ...heads, ...lines].join('\n'), arrays: named, sites };
}
