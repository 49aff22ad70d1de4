/**
 * Which integer divisions must be checked when they run. A divisor is a number or a size. One that its own dims or the loops
 * around prove to be 1 or more needs nothing; of the others, what the text says can't be computed where they are less.
 */
import { childrenOf, type Expr, type LayerIR, type Size, Sizes } from '@espalier/ir';

type Division = Extract<Expr, { kind: 'op' }>;

/** An integer division or remainder. */
export const isDivision = (e: Expr): e is Division => e.kind === 'op' && (e.op === 'floordiv' || e.op === 'mod');

const known = new WeakMap<LayerIR, ReadonlySet<Expr>>();

/** The divisions of a layer whose divisor nothing proves to be 1 or more. */
export function uncheckedDivisions(layer: LayerIR): ReadonlySet<Expr> {
  const found = known.get(layer) ?? findUnchecked(layer);
  known.set(layer, found);
  return found;
}

function findUnchecked(layer: LayerIR): ReadonlySet<Expr> {
  const found = new Set<Expr>();
  const look = (e: Expr, around: readonly Size[]): void => {
    if (isDivision(e) && !isPositive(e.args[1], around)) found.add(e);
    const within = e.kind === 'reduce' ? [...around, ...e.indices.map((i) => i.size)] : around;
    for (const part of childrenOf(e)) look(part, within);
  };
  for (const s of layer.statements)
    look(
      s.value,
      s.axes.map((a) => a.size),
    );
  return found;
}

/** Whether a divisor is 1 or more wherever loops over `around` run. */
function isPositive(divisor: Expr | undefined, around: readonly Size[]): boolean {
  // The checker refuses numbers below 0; 0 is what a size of compile time may be.
  if (divisor?.kind === 'literal') return divisor.value !== 0;
  if (divisor?.kind !== 'size') return false;
  // A loop over B·S runs only where both are 1 or more; dims are never negative.
  const runs = new Set(around.flatMap(([only, ...more]) => (more.length === 0 && only ? only.dims : [])));
  const least = (size: Size): number =>
    size.reduce((sum, { coefficient, dims }) => {
      const smallest = dims.every((d) => runs.has(d)) ? coefficient : 0;
      return sum + (coefficient > 0 || dims.length === 0 ? smallest : Number.NEGATIVE_INFINITY);
    }, 0);
  return least(divisor.size) >= 1 || around.some((loop) => least(Sizes.subtract(divisor.size, loop)) >= 0);
}
