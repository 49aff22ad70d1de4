/** Walking Layer IR: what stands directly inside an expression. */
import type { Expr } from './layer-ir.ts';

/** Every expression directly inside another, in order of evaluation. */
export function childrenOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'literal':
    case 'index':
    case 'size':
    case 'local':
      return [];
    case 'access':
      return expr.indices;
    case 'op':
      return expr.args;
    case 'select':
      return [expr.condition, expr.then, expr.otherwise];
    case 'reduce':
      return [expr.body];
    case 'descend':
      return [
        expr.init,
        ...expr.lets.map((l) => l.value),
        ...(expr.yield === null ? [] : [expr.yield]),
        expr.next,
        ...(expr.result === null ? [] : [expr.result]),
      ];
  }
}
