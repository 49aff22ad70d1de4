/**
 * Tuning: forms that were measured to be best for a shape, in place of a target's own choice. Data, found by a search (`espalier tune`)
 * and kept in a file; a shape that a file doesn't know is compiled as ever.
 */
import { type Expr, Sizes } from '@espalier/ir';
import { CompileError } from './compile.ts';
import { visit } from './lower/layer-expr.ts';
import type { Unit } from './lower/partition.ts';
import type { Target, Variant } from './target.ts';
import { tuningProblem } from './tuning-check.ts';

/** What a search found for one machine. */
export interface Tuning {
  readonly version: 1;
  /** The target's name, "wasm". */
  readonly target: string;
  /** What the engine could do, as capabilities of the target: other engines want other forms. */
  readonly capabilities: Readonly<Record<string, boolean | number>>;
  /** Variants by the shape of a unit (`shapeOf`). */
  readonly shapes: Readonly<Record<string, readonly Variant[]>>;
}

/**
 * The shape of a unit, whatever its layer and tensors are called: sizes of its axes (`*` where only a run knows), of its sums, and the
 * levels of its walks. "contract [* 3072] sum 768", "rows [* 768] sum 1 walk 12 sum 768".
 */
export function shapeOf(unit: Unit): string {
  const size = (s: Parameters<typeof Sizes.constantOf>[0]): string => String(Sizes.constantOf(s) ?? '*');
  const statements = unit.kind === 'rows' ? unit.statements.map((m) => m.statement) : [unit.statement];
  const parts = statements.map((s) => {
    const inner: string[] = [];
    const seen = new Set<Expr>();
    const see = (e: Expr): void => {
      // A function's argument stands in several places as one object, and is computed once.
      if (seen.has(e)) return;
      seen.add(e);
      if (e.kind === 'reduce') inner.push(`${e.op} ${e.indices.map((i) => size(i.size)).join(' ')}`);
      if (e.kind === 'descend') inner.push(`walk ${size(e.levels)}`);
    };
    visit(s.value, see);
    return [`[${s.axes.map((a) => size(a.size)).join(' ')}]`, ...inner].join(' ');
  });
  return `${unit.kind} ${parts.join('; ')}`;
}

/**
 * The target with the forms of a tuning. Throws CompileError C003 where the tuning is for another target, and C004 where its variants don't
 * cover all numbers of rows, or have forms that there are not.
 */
export function tuned(target: Target, tuning: Tuning): Target {
  if (tuning.target !== target.name)
    throw new CompileError('C003', `the tuning is for ${tuning.target}, not for ${target.name}`);
  const problem = tuningProblem(tuning.shapes);
  if (problem !== null) throw new CompileError('C004', `the tuning can't be used: ${problem}`);
  return {
    ...target,
    variants: (unit, capabilities, layer) => tuning.shapes[shapeOf(unit)] ?? target.variants(unit, capabilities, layer),
  };
}
