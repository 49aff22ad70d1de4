/**
 * For engines that fuse neighbouring 128-bit operations into 256-bit ones: the partial results of a folded loop (a dot product)
 * go through memory on their way into the fold. V8's revectoriser starts from stores side by side, so sums that never reach
 * memory would stay apart; stored once a dot product, the whole loop behind them is fused.
 */
import { rowMajor } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import * as k from '../../../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../../../kernel-ir/types.ts';
import { mapExpr, mapOwnExpressions, mapStatements, Names } from '../../../kernel-ir/walk.ts';

type Fold = Extract<Expr, { kind: 'fold' }>;
type Ref = Extract<Expr, { kind: 'ref' }>;

const LANES = 4;

export function pairFolds(kernel: Kernel): Kernel {
  const buffer = new Names(kernel).fresh('partial');
  let places = 0;
  const body = mapStatements(kernel.body, (s) => {
    if (s.kind !== 'let' && s.kind !== 'assign' && s.kind !== 'store') return s;
    const stores: Stmt[] = [];
    const next = mapOwnExpressions(s, (e) =>
      mapExpr(e, (x) => {
        const parts = x.kind === 'fold' ? partsOf(x) : null;
        if (parts === null) return x;
        const at = new Map(parts.map((part) => [part.name, LANES * places++]));
        for (const part of parts) stores.push(k.store(buffer, [k.i32(at.get(part.name) as number)], part));
        return mapExpr(x, (y) =>
          y.kind === 'ref' && at.has(y.name) ? k.load(buffer, [k.i32(at.get(y.name) as number)], y.type) : y,
        );
      }),
    );
    return stores.length === 0 ? next : [...stores, next];
  });
  if (places === 0) return kernel;
  const shape = [Sizes.constant(LANES * places)];
  return {
    ...kernel,
    buffers: [
      ...kernel.buffers,
      { name: buffer, space: 'private', access: 'read_write', storage: 'f32', shape, layout: rowMajor(1) },
    ],
    body,
  };
}

/** The variables whose combination is folded, when there is an even number of different ones and nothing else. */
function partsOf(fold: Fold): readonly Ref[] | null {
  const parts: Ref[] = [];
  const collect = (e: Expr): boolean => {
    if (e.kind === 'ref') return parts.push(e) > 0;
    return e.kind === 'op' && e.op === fold.op && e.args.every(collect);
  };
  const isPlain = collect(fold.value) && fold.type.scalar === 'f32' && fold.value.type.lanes === LANES;
  const isDistinct = new Set(parts.map((p) => p.name)).size === parts.length;
  return isPlain && isDistinct && parts.length % 2 === 0 ? parts : null;
}
