/**
 * Reductions. A sum of products becomes matrix multiplications wherever multiplying first would spread the operands over
 * each other's axes (x[t, i] * w[j, i] over i): the axes both keep are batch axes, the summed ones the inner axis. All
 * other reductions compute their body and reduce it.
 */
import type { Expr, ReduceOp } from '@espalier/ir';
import { Sizes } from '@espalier/ir';
import { elementTypes } from './proto.ts';
import { cast, choose } from './scalar-ops.ts';
import {
  elementwise,
  expand,
  i64List,
  inScopeOrder,
  type Labelled,
  type Space,
  scalar,
  sizeOf,
  transpose,
  type Value,
} from './values.ts';

/** The factors of a product, as written. */
export function factorsOf(expr: Expr): readonly Expr[] {
  return expr.kind === 'op' && expr.op === 'mul' ? expr.args.flatMap(factorsOf) : [expr];
}

/** One reducing operator over some of the axes. */
function reduceAxes(space: Space, operator: string, value: Value, indices: readonly string[]): Value {
  if (indices.length === 0) return value;
  const whole = expand(space, value, inScopeOrder(space, [...value.axes, ...indices]));
  const positions = i64List(
    space,
    indices.map((index) => whole.axes.indexOf(index)).sort((a, b) => a - b),
  );
  const name = space.builder.op(operator, [whole.name, positions], { keepdims: 0 });
  return { name, axes: whole.axes.filter((axis) => !indices.includes(axis)), type: value.type };
}

/** The sum over `inner` of a · b as a matrix multiplication; every index of `inner` is an axis of both. */
function matrixProduct(space: Space, x: Value, y: Value, inner: readonly string[]): Value {
  const onlyIn = (a: Labelled, b: Labelled): readonly string[] => a.axes.filter((axis) => !b.axes.includes(axis));
  const first = inScopeOrder(space, [...onlyIn(x, y), ...onlyIn(y, x)])[0];
  // What the statement binds first (the tokens) makes the rows, so that the result needn't be turned.
  const [a, b] = first !== undefined && y.axes.includes(first) ? [y, x] : [x, y];
  const batch = inScopeOrder(
    space,
    a.axes.filter((axis) => b.axes.includes(axis) && !inner.includes(axis)),
  );
  const rows = inScopeOrder(space, onlyIn(a, b));
  const columns = inScopeOrder(space, onlyIn(b, a));
  const sizes = (axes: readonly string[]) => axes.map((axis) => sizeOf(space, axis));
  const joined = (axes: readonly string[]) => Sizes.product(sizes(axes));

  const matrix = (value: Value, left: readonly string[], right: readonly string[]): string => {
    const { name } = transpose(space, value, [...batch, ...left, ...right]);
    if (left.length === 1 && right.length === 1) return name;
    return space.shapes.reshape(name, [...sizes(batch), joined(left), joined(right)]);
  };
  const product = space.builder.op('MatMul', [matrix(a, rows, inner), matrix(b, inner, columns)]);
  const axes = [...batch, ...rows, ...columns];
  const name = rows.length === 1 && columns.length === 1 ? product : space.shapes.reshape(product, sizes(axes));
  return { name, axes, type: x.type };
}

const contains = (a: Labelled, b: Labelled): boolean => b.axes.every((axis) => a.axes.includes(axis));

/** The sum over `indices` of the product of all factors. */
export function sumOfProduct(space: Space, factors: readonly Value[], indices: readonly string[]): Value {
  const parts = [...factors];
  const times = (a: Value, b: Value): Value => ({ ...elementwise(space, 'Mul', [a, b]), type: a.type });
  const take = (i: number): Value => {
    const [part] = parts.splice(i, 1);
    if (part === undefined) throw new RangeError(`no factor ${i}`);
    return part;
  };

  /** A factor that another covers is multiplied in: nothing grows. */
  const mergeCovered = (): void => {
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i];
      const cover = parts.findIndex((other, j) => j !== i && part !== undefined && contains(other, part));
      if (part === undefined || cover === -1) continue;
      const other = parts[cover];
      if (other === undefined) continue;
      parts[cover] = times(other, part);
      take(i);
      i = -1;
    }
  };

  /** The indices that can be summed as soon as these two are multiplied. */
  const closing = (a: Value, b: Value): readonly string[] =>
    indices.filter((index) => parts.every((part) => part === a || part === b || !part.axes.includes(index)));

  mergeCovered();
  while (parts.length > 1) {
    const pairs = parts.flatMap((a, i) => parts.slice(i + 1).map((b) => [a, b] as const));
    const shared = (pair: readonly [Value, Value]): readonly string[] =>
      closing(...pair).filter((index) => pair.every((part) => part.axes.includes(index)));
    const pair = pairs.find((candidate) => shared(candidate).length > 0) ?? pairs[0];
    if (pair === undefined) break;
    const inner = shared(pair);
    const closed = closing(...pair).filter((index) => pair.some((part) => part.axes.includes(index)));
    for (const part of pair) take(parts.indexOf(part));
    // An index of one factor alone is summed before multiplying.
    const alone = (part: Value): Value =>
      reduceAxes(
        space,
        'ReduceSum',
        part,
        closed.filter((index) => part.axes.includes(index) && !inner.includes(index)),
      );
    const [a, b] = [alone(pair[0]), alone(pair[1])];
    parts.unshift(inner.length === 0 ? times(a, b) : matrixProduct(space, a, b, inner));
    indices = indices.filter((index) => !closed.includes(index));
    mergeCovered();
  }
  const [whole] = parts;
  if (whole === undefined) throw new RangeError('a product has at least one factor');
  return reduceAxes(space, 'ReduceSum', whole, indices);
}

/** The index of the first best element, leaving out NaN; 0 where there is none. */
function bestIndex(space: Space, op: 'argmax' | 'argmin', body: Value, index: string): Value {
  const value = expand(space, body, inScopeOrder(space, [...body.axes, index]));
  const comparable = elementwise(space, 'Not', [elementwise(space, 'IsNaN', [cast(space, value, 'f32')])]);
  const worst = op === 'argmax' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const numbers = value.type === 'f32' ? choose(space, comparable, value, scalar(space, 'f32', worst)) : value;
  const best = reduceAxes(space, op === 'argmax' ? 'ReduceMax' : 'ReduceMin', numbers, [index]);
  const hit = elementwise(space, 'And', [comparable, elementwise(space, 'Equal', [numbers, best])]);
  const hits = cast(space, expand(space, { ...hit, type: 'bool' }, value.axes), 'i32');
  const axis = value.axes.indexOf(index);
  const length = Sizes.constantOf(sizeOf(space, index));
  // ArgMax refuses an empty axis; a miss at the end changes no answer.
  const pads = Array.from({ length: 2 * value.axes.length }, (_, i) => (i === value.axes.length + axis ? 1 : 0));
  const never =
    length !== null && length > 0
      ? hits.name
      : space.builder.op('Pad', [hits.name, i64List(space, pads), scalar(space, 'i32', 0).name]);
  const found = space.builder.op('ArgMax', [never], { axis, keepdims: 0 });
  const axes = value.axes.filter((name) => name !== index);
  return { name: space.builder.op('Cast', [found], { to: elementTypes.i32 }), axes, type: 'i32' };
}

/** min and max of f32 pass NaN on, which ONNX Runtime's reductions do not promise. */
function extreme(space: Space, operator: 'ReduceMax' | 'ReduceMin', body: Value, indices: readonly string[]): Value {
  const best = reduceAxes(space, operator, body, indices);
  if (body.type !== 'f32') return best;
  const nan: Value = { ...elementwise(space, 'IsNaN', [body]), type: 'bool' };
  const spoilt = reduceAxes(space, 'ReduceSum', cast(space, nan, 'i32'), indices);
  const clean = elementwise(space, 'Equal', [spoilt, scalar(space, 'i32', 0)]);
  return choose(space, clean, best, scalar(space, 'f32', Number.NaN));
}

/** Any reduction of a body that has been computed. */
export function reduceValue(space: Space, op: ReduceOp, body: Value, indices: readonly string[]): Value {
  switch (op) {
    case 'sum':
      return reduceAxes(space, 'ReduceSum', body, indices);
    case 'prod':
      return reduceAxes(space, 'ReduceProd', body, indices);
    case 'max':
      return extreme(space, 'ReduceMax', body, indices);
    case 'min':
      return extreme(space, 'ReduceMin', body, indices);
    case 'argmax':
    case 'argmin':
      return bestIndex(space, op, body, indices[0] ?? '');
  }
}
