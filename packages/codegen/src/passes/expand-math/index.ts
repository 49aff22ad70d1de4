/**
 * The pass expand-math: replaces exp, ln, tanh and erf by plain arithmetic (see expansions.ts).
 *
 * The names an expansion defines become lets just before the statement that holds the call, inner calls first. That is
 * always the same evaluation: a statement evaluates each of its expressions exactly once and completely (`select`
 * evaluates all operands, a loop evaluates its bounds before it starts).
 */

import type { Kernel, KernelOp, Stmt } from '../../kernel-ir/types.ts';
import { mapExpr, mapOwnExpressions, mapStatements, Names, someExpression } from '../../kernel-ir/walk.ts';
import { expansions, type MathOp } from './expansions.ts';

export { type Expander, type Expansion, expansions, type MathOp } from './expansions.ts';

const isMathOp = (name: KernelOp): name is MathOp => Object.hasOwn(expansions, name);

/** The kernel without exp, ln, tanh and erf. Names stay unique; a statement without such calls is kept as it is. */
export function expandMath(kernel: Kernel): Kernel {
  if (!someExpression(kernel.body, (e) => e.kind === 'op' && isMathOp(e.op))) return kernel;
  const names = new Names(kernel);
  const dims = new Set(kernel.dims);
  const fresh = (base: string): string => {
    let name = names.fresh(base);
    while (dims.has(name)) name = names.fresh(base);
    return name;
  };

  const expandStatement = (statement: Stmt): Stmt | readonly Stmt[] => {
    const before: Stmt[] = [];
    const next = mapOwnExpressions(statement, (expression) =>
      mapExpr(expression, (e) => {
        if (e.kind !== 'op' || !isMathOp(e.op)) return e;
        const [x] = e.args;
        if (x === undefined) throw new TypeError(`${e.op} without an operand in kernel ${kernel.name}`);
        const { op } = e;
        const { lets, value } = expansions[op](x, (hint) => fresh(`${op}_${hint}`));
        before.push(...lets);
        return value;
      }),
    );
    return before.length === 0 ? next : [...before, next];
  };

  return { ...kernel, body: mapStatements(kernel.body, expandStatement) };
}
