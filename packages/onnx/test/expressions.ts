/** Layer IR by hand, for programs that are about one construct: just enough builders to write them in a line. */
import {
  type Descend,
  type Expr,
  type IndexRange,
  type LayerIR,
  type ReduceOp,
  type ScalarOp,
  type Size,
  Sizes,
  type Statement,
  type StorageType,
  type TensorDecl,
  type TensorRole,
  type ValueType,
} from '@espalier/ir';

const span = { source: 'test', start: 0, end: 0 };

export const size = (value: number | string | Size): Size =>
  typeof value === 'number' ? Sizes.constant(value) : typeof value === 'string' ? Sizes.dim(value) : value;
export const range = (name: string, extent: number | string | Size): IndexRange => ({ name, size: size(extent), span });

export const f32 = (value: number): Expr => ({ kind: 'literal', value, type: 'f32', span });
export const i32 = (value: number): Expr => ({ kind: 'literal', value, type: 'i32', span });
export const bool = (value: boolean): Expr => ({ kind: 'literal', value: value ? 1 : 0, type: 'bool', span });
export const at = (name: string): Expr => ({ kind: 'index', name, type: 'i32', span });
export const sizeOf = (value: string | Size): Expr => ({ kind: 'size', size: size(value), type: 'i32', span });
export const local = (name: string, type: ValueType): Expr => ({ kind: 'local', name, type, span });

/** tensor[…]: a string is an index, a number a constant. Nothing counts as proven. */
export const read = (
  tensor: string,
  indices: readonly (string | number | Expr)[],
  type: 'f32' | 'i32' = 'f32',
): Expr => ({
  kind: 'access',
  tensor,
  indices: indices.map((index) =>
    typeof index === 'string' ? at(index) : typeof index === 'number' ? i32(index) : index,
  ),
  inBounds: indices.map(() => false),
  type,
  span,
});

const booleans: ReadonlySet<ScalarOp> = new Set(['eq', 'ne', 'lt', 'le', 'gt', 'ge', 'and', 'or', 'not']);
export function op(name: ScalarOp, ...args: readonly Expr[]): Expr {
  const own = args[0]?.type ?? 'f32';
  const type: ValueType = booleans.has(name) ? 'bool' : name === 'to_f32' ? 'f32' : name === 'to_i32' ? 'i32' : own;
  return { kind: 'op', op: name, args, type, span };
}
export const select = (condition: Expr, then: Expr, otherwise: Expr): Expr => ({
  kind: 'select',
  condition,
  then,
  otherwise,
  type: then.type,
  span,
});
export const reduce = (name: ReduceOp, indices: readonly IndexRange[], body: Expr): Expr => ({
  kind: 'reduce',
  op: name,
  indices,
  body,
  type: name.startsWith('arg') || body.type !== 'f32' ? 'i32' : 'f32',
  span,
});
export const descend = (parts: {
  node: string;
  init?: Expr;
  levels: number | Size;
  lets?: readonly (readonly [string, Expr])[];
  yields?: Expr;
  next: Expr;
  result?: Expr;
}): Descend => ({
  kind: 'descend',
  node: parts.node,
  init: parts.init ?? i32(0),
  levels: size(parts.levels),
  lets: (parts.lets ?? []).map(([name, value]) => ({ name, value, span })),
  yield: parts.yields ?? null,
  next: parts.next,
  result: parts.result ?? null,
  trace: null,
  type: (parts.yields ?? parts.result)?.type === 'f32' ? 'f32' : 'i32',
  span,
});

export const tensor = (
  role: TensorRole,
  name: string,
  shape: readonly (number | string | Size)[],
  storage: StorageType = 'f32',
): TensorDecl => ({ name, role, storage, shape: shape.map(size), span });
export const statement = (target: string, axes: readonly IndexRange[], value: Expr): Statement => ({
  target,
  axes,
  value,
  span,
});

/** A layer of these; targets that `tensors` does not declare become outputs. */
export function layer(
  dims: readonly string[],
  tensors: readonly TensorDecl[],
  statements: readonly Statement[],
  name = 'test',
): LayerIR {
  const declared = new Set(tensors.map((decl) => decl.name));
  const outputs = statements
    .filter(({ target }) => !declared.has(target))
    .map(({ target, axes, value }) =>
      tensor(
        'output',
        target,
        axes.map((axis) => axis.size),
        value.type === 'f32' ? 'f32' : 'i32',
      ),
    );
  return { name, dims, fixed: {}, tensors: [...tensors, ...outputs], statements, sources: [] };
}
