/** Layer IR by hand, so that what stands behind the checker can be tested without it. */
import type {
  Descend,
  Expr,
  IndexRange,
  LayerIR,
  ReduceOp,
  ScalarOp,
  Statement,
  TensorDecl,
  ValueType,
} from '../../src/layer-ir.ts';
import { constant, dim, type Size } from '../../src/size.ts';

export const nowhere = { source: 'hand', start: 0, end: 0 };
const sizeOf = (size: number | string): Size => (typeof size === 'number' ? constant(size) : dim(size));

export const f32 = (value: number): Expr => ({ kind: 'literal', value, type: 'f32', span: nowhere });
export const i32 = (value: number): Expr => ({ kind: 'literal', value, type: 'i32', span: nowhere });
export const bool = (value: boolean): Expr => ({ kind: 'literal', value: value ? 1 : 0, type: 'bool', span: nowhere });
export const index = (name: string): Expr => ({ kind: 'index', name, type: 'i32', span: nowhere });
export const local = (name: string, type: ValueType): Expr => ({ kind: 'local', name, type, span: nowhere });
export const sizeValue = (size: number | string): Expr => ({
  kind: 'size',
  size: sizeOf(size),
  type: 'i32',
  span: nowhere,
});

export function at(tensor: string, indices: readonly Expr[], type: 'f32' | 'i32' = 'f32', inBounds = true): Expr {
  return { kind: 'access', tensor, indices, inBounds: indices.map(() => inBounds), type, span: nowhere };
}

const boolean: readonly ScalarOp[] = ['eq', 'ne', 'lt', 'le', 'gt', 'ge', 'and', 'or', 'not'];
export function op(name: ScalarOp, ...args: readonly Expr[]): Expr {
  const given = args[0]?.type ?? 'f32';
  const type = boolean.includes(name) ? 'bool' : name === 'to_f32' ? 'f32' : name === 'to_i32' ? 'i32' : given;
  return { kind: 'op', op: name, args, type, span: nowhere };
}

export const select = (condition: Expr, then: Expr, otherwise: Expr): Expr => ({
  kind: 'select',
  condition,
  then,
  otherwise,
  type: then.type,
  span: nowhere,
});

export const range = (name: string, size: number | string): IndexRange => ({ name, size: sizeOf(size), span: nowhere });

export function reduce(name: ReduceOp, indices: readonly IndexRange[], body: Expr): Expr {
  const type = name === 'argmax' || name === 'argmin' || body.type === 'i32' ? 'i32' : 'f32';
  return { kind: 'reduce', op: name, indices, body, type, span: nowhere };
}

export interface Walk {
  readonly node?: string;
  readonly init?: Expr;
  readonly levels: number | string;
  readonly lets?: Readonly<Record<string, Expr>>;
  readonly yield?: Expr;
  readonly next: Expr;
  readonly result?: Expr;
}

export function descend(walk: Walk): Descend {
  return {
    kind: 'descend',
    node: walk.node ?? 'n',
    init: walk.init ?? i32(0),
    levels: sizeOf(walk.levels),
    lets: Object.entries(walk.lets ?? {}).map(([name, value]) => ({ name, value, span: nowhere })),
    yield: walk.yield ?? null,
    next: walk.next,
    result: walk.result ?? null,
    trace: null,
    type: (walk.yield ?? walk.result)?.type === 'i32' ? 'i32' : 'f32',
    span: nowhere,
  };
}

export function tensor(
  role: TensorDecl['role'],
  name: string,
  shape: readonly (number | string)[],
  storage: TensorDecl['storage'] = 'f32',
): TensorDecl {
  return { name, role, storage, shape: shape.map(sizeOf), span: nowhere };
}

export const define = (target: string, axes: readonly IndexRange[], value: Expr): Statement => ({
  target,
  axes,
  value,
  span: nowhere,
});

export const layer = (
  dims: readonly string[],
  tensors: readonly TensorDecl[],
  statements: readonly Statement[],
): LayerIR => ({
  name: 'hand',
  dims,
  fixed: {},
  tensors,
  statements,
  sources: [],
});

/** A layer y[i] = value for i < n that reads x[n] and, where given, more tensors. */
export function mapLayer(n: number, value: Expr, more: readonly TensorDecl[] = []): LayerIR {
  const storage = value.type === 'i32' ? 'i32' : 'f32';
  return layer([], [...more, tensor('output', 'y', [n], storage)], [define('y', [range('i', n)], value)]);
}

/** The layer of UltraFastBERT's trees, right if score > 0, relu. x[T, D], w1[trees, nodes, D], w2[trees, nodes, O]. */
export function treesLayer(width: number, outputs: number, trees: number, depth: number): LayerIR {
  const nodes = 2 ** (depth + 1) - 1;
  const score = op(
    'add',
    reduce(
      'sum',
      [range('i', width)],
      op('mul', at('x', [index('t'), index('i')]), at('w1', [index('k'), local('n', 'i32'), index('i')])),
    ),
    at('b1', [index('k'), local('n', 'i32')]),
  );
  const right = op('to_i32', op('gt', local('s', 'f32'), f32(0)));
  const walk = descend({
    levels: depth + 1,
    lets: { s: score },
    yield: op('mul', op('max', local('s', 'f32'), f32(0)), at('w2', [index('k'), local('n', 'i32'), index('o')])),
    next: op('add', op('add', op('mul', i32(2), local('n', 'i32')), i32(1)), right),
  });
  return layer(
    ['T'],
    [
      tensor('input', 'x', ['T', width]),
      tensor('weight', 'w1', [trees, nodes, width]),
      tensor('weight', 'b1', [trees, nodes]),
      tensor('weight', 'w2', [trees, nodes, outputs]),
      tensor('output', 'y', ['T', outputs]),
    ],
    [define('y', [range('t', 'T'), range('o', outputs)], reduce('sum', [range('k', trees)], walk))],
  );
}

/** Numbers in [-1, 1) from a seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** `count` numbers that float32 holds exactly. */
export const randomArray = (count: number, next: () => number): Float32Array =>
  Float32Array.from({ length: count }, next);
