/**
 * Expressions of a statement → ONNX values, by what they say and nothing else: the only names that matter here are those
 * of indices and tensors.
 *
 * Loops vanish into axes: an index of the statement, or of a reduction, becomes an axis of whatever depends on it. A
 * descent has a constant number of levels and is written level by level; its node is a value with the axes that the route
 * depends on, and a row w[n, …] is a Gather by that value.
 */
import { type Descend, type Expr, type GraphNode, type IndexRange, type Size, Sizes, type Trace } from '@espalier/ir';
import { type LayerTensor, readTensor, subscripts } from './access.ts';
import { OnnxExportError } from './errors.ts';
import { factorsOf, reduceValue, sumOfProduct } from './reduce.ts';
import { cast, choose, scalarRules } from './scalar-ops.ts';
import { closestScore } from './scores.ts';
import { expand, i64List, indexValue, type Space, scalar, sizeOf, sizeValue, type Value } from './values.ts';

/** What the statements of one graph node share. */
export interface LayerContext {
  /** The graph node, for errors. */
  readonly node: GraphNode;
  readonly space: Space;
  /** Over the layer's dims → over the graph's dims. */
  readonly size: (size: Size) => Size;
  /** The layer's tensors that have values by now, traces included. */
  readonly tensors: Map<string, LayerTensor>;
}

/** Where in a statement an expression stands. */
interface Frame {
  /** The nodes and lets of the descents around it. */
  readonly locals: Map<string, Value>;
  /** Inside a branch of a select. */
  readonly guarded: boolean;
  readonly known: Map<Expr, Value>;
}

const within = (frame: Frame, change: Partial<Frame>): Frame => ({ ...frame, known: new Map(), ...change });

function bindIndices(context: LayerContext, indices: readonly IndexRange[]): readonly string[] {
  for (const { name, size } of indices) context.space.ranges.set(name, context.size(size));
  return indices.map((index) => index.name);
}

/** The value of a statement with all its axes, in order, as a tensor of the layer. */
export function lowerStatement(context: LayerContext, axes: readonly IndexRange[], value: Expr): LayerTensor {
  context.space.ranges.clear();
  const names = bindIndices(context, axes);
  const lowered = lower(context, value, { locals: new Map(), guarded: false, known: new Map() });
  const whole = expand(context.space, lowered, names);
  return { name: whole.name, sizes: names.map((name) => sizeOf(context.space, name)), type: numeric(lowered) };
}

const numeric = (value: Value): 'f32' | 'i32' => (value.type === 'f32' ? 'f32' : 'i32');

function lower(context: LayerContext, expr: Expr, frame: Frame): Value {
  const before = frame.known.get(expr);
  if (before !== undefined) return before;
  const value = lowerNew(context, expr, frame);
  frame.known.set(expr, value);
  return value;
}

function lowerNew(context: LayerContext, expr: Expr, frame: Frame): Value {
  const { space } = context;
  const again = (inner: Expr): Value => lower(context, inner, frame);
  switch (expr.kind) {
    case 'literal':
      return scalar(space, expr.type, expr.value);
    case 'index':
      return indexValue(space, expr.name);
    case 'size':
      return sizeValue(space, context.size(expr.size));
    case 'local': {
      const value = frame.locals.get(expr.name);
      if (value === undefined) throw new RangeError(`local ${expr.name} is used where it is not bound`);
      return value;
    }
    case 'access': {
      const tensor = context.tensors.get(expr.tensor);
      if (tensor === undefined) throw new RangeError(`tensor ${expr.tensor} is read before it is written`);
      return readTensor(space, tensor, subscripts(space, tensor, expr, frame.guarded, again), frame.guarded);
    }
    case 'op': {
      const args = expr.args.map(again);
      const [first, second = first] = args;
      if (first === undefined || second === undefined) throw new RangeError(`${expr.op} without operands`);
      return scalarRules[expr.op](space, first, second, expr.type);
    }
    case 'select': {
      const branch = within(frame, { guarded: true });
      const [then, otherwise] = [lower(context, expr.then, branch), lower(context, expr.otherwise, branch)];
      return choose(space, again(expr.condition), then, otherwise);
    }
    case 'reduce': {
      const indices = bindIndices(context, expr.indices);
      if (expr.op === 'sum') return sumOver(context, expr.body, frame, indices);
      return reduceValue(space, expr.op, again(expr.body), indices);
    }
    case 'descend':
      return unroll(context, expr, frame, (inner, at) => lower(context, inner, at));
  }
}

/** The sum of an expression over indices, taken before its parts are spread over each other's axes where possible. */
function sumOver(context: LayerContext, body: Expr, frame: Frame, indices: readonly string[]): Value {
  if (body.kind === 'descend' && body.yield !== null) {
    // The sum over trees of what the levels yield: level by level, the sum over trees.
    return unroll(context, body, frame, (inner, at) => sumOver(context, inner, at, indices));
  }
  if (body.kind === 'reduce' && body.op === 'sum') {
    return sumOver(context, body.body, frame, [...indices, ...bindIndices(context, body.indices)]);
  }
  const factors = factorsOf(body).map((factor) => lower(context, factor, frame));
  return sumOfProduct(context.space, factors, indices);
}

/** A descent, one level after the other; `evaluate` says what becomes of a yield. */
function unroll(
  context: LayerContext,
  descend: Descend,
  frame: Frame,
  evaluate: (expr: Expr, frame: Frame) => Value,
): Value {
  const { space } = context;
  const size = context.size(descend.levels);
  const levels = Sizes.constantOf(size);
  if (levels === null) {
    const place = { node: context.node.id, span: descend.span, sources: context.node.layer.sources };
    throw new OnnxExportError(
      'runtime-levels',
      `a descent has ${Sizes.format(size)} levels, known only when it runs`,
      place,
    );
  }
  let node = lower(context, descend.init, frame);
  let total: Value | null = null;
  const nodes: Value[] = [];
  const scores: Value[] = [];
  for (let level = 0; level < levels; level++) {
    const at = within(frame, { locals: new Map(frame.locals).set(descend.node, node) });
    const here = (expr: Expr): Value => lower(context, expr, at);
    for (const { name, value } of descend.lets) at.locals.set(name, here(value));
    if (descend.yield !== null) {
      const yielded = evaluate(descend.yield, at);
      total = total === null ? yielded : scalarRules.add(space, total, yielded, yielded.type);
    }
    if (descend.trace !== null) {
      nodes.push(node);
      const guardedHere = (expr: Expr): Value => lower(context, expr, within(at, { guarded: true }));
      scores.push(closestScore(space, descend, here, guardedHere, (indices) => bindIndices(context, indices)));
    }
    node = here(descend.next);
  }
  if (descend.trace !== null) record(context, descend.trace, size, nodes, scores);
  if (descend.result !== null) {
    return lower(context, descend.result, within(frame, { locals: new Map(frame.locals).set(descend.node, node) }));
  }
  return total ?? scalar(space, descend.type, 0);
}

/** Stacks what each level met into the trace's tensors. */
function record(
  context: LayerContext,
  trace: Trace,
  levels: Size,
  nodes: readonly Value[],
  scores: readonly Value[],
): void {
  const { space } = context;
  const axes = trace.indices.map((index) => index.name);
  const sizes = [...trace.indices.map((index) => context.size(index.size)), levels];
  const stacked = (values: readonly Value[], type: 'f32' | 'i32'): LayerTensor => {
    if (values.length === 0) {
      const none = scalar(space, type, 0);
      return { name: space.builder.op('Expand', [none.name, space.shapes.list(sizes)]), sizes, type };
    }
    const columns = values.map((value) => {
      const whole = expand(space, cast(space, value, type), axes);
      return space.builder.op('Unsqueeze', [whole.name, i64List(space, [axes.length])]);
    });
    return { name: space.builder.op('Concat', columns, { axis: axes.length }), sizes, type };
  };
  context.tensors.set(trace.nodes, stacked(nodes, 'i32'));
  context.tensors.set(trace.scores, stacked(scores, 'f32'));
}
