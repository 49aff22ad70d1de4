/** One unit to kernels: the variants a target wants of it, each lowered in the form the variant asks for. */
import type { LaunchCondition } from '@espalier/artefact';
import { type LayerIR, type Size, Sizes } from '@espalier/ir';
import type { Kernel } from '../kernel-ir/types.ts';
import { toSizeExpr } from '../size-expr.ts';
import type { Form, Variant } from '../target.ts';
import { lowerContract } from './contract.ts';
import { lowerGeneric } from './generic.ts';
import { groupedWalk, lowerGrouped } from './grouped-walk.ts';
import type { Unit } from './partition.ts';
import { lowerRows, rowSizes } from './rows.ts';
import { lowerSorted, sortedWalk } from './sorted-walk.ts';
import { lowerSubtrees } from './subtrees.ts';
import { planSubtrees } from './subtrees-plan.ts';
import { isTileable, lowerTile } from './tile.ts';

/** How many rows a unit has: what its variants are chosen by. */
export function rowsOf(unit: Unit): Size {
  switch (unit.kind) {
    case 'generic':
      return Sizes.constant(1);
    case 'rows':
      return Sizes.product(rowSizes(unit));
    case 'contract': {
      const { statement, contraction } = unit;
      return Sizes.product(statement.axes.filter((_, i) => i !== contraction.columnAxis).map((a) => a.size));
    }
  }
}

/** Variants that some number of rows calls for, with the condition under which each runs; none where only one can. */
export function applicable(
  unit: Unit,
  variants: readonly Variant[],
): readonly { readonly variant: Variant; readonly when: LaunchCondition | null }[] {
  const rows = rowsOf(unit);
  const known = Sizes.constantOf(rows);
  const holds = (v: Variant): boolean =>
    known === null || (known >= v.from && known < (v.below ?? Number.POSITIVE_INFINITY));
  const chosen = variants.filter(holds);
  return chosen.map((variant) => {
    if (chosen.length === 1) return { variant, when: null };
    const from = { size: toSizeExpr(rows), from: variant.from };
    return { variant, when: variant.below === undefined ? from : { ...from, below: variant.below } };
  });
}

/** Whether a unit can be computed in a form. Targets ask for forms that suit; a tuning from a file may not. */
export function suits(unit: Unit, form: Form): boolean {
  switch (form.form) {
    case 'sorted':
      return unit.kind === 'rows' && sortedWalk(unit, form.first) !== null;
    case 'grouped':
      return unit.kind === 'rows' && groupedWalk(unit, form.first) !== null;
    case 'subtrees':
      return unit.kind === 'rows' && planSubtrees(unit) !== null;
    case 'tile':
      return unit.kind === 'contract' && isTileable(unit);
    case 'blocks':
      return unit.kind === 'contract';
    case 'elements':
    case 'rows':
      return true;
  }
}

/** The kernels of a unit, in the order in which they run; all but a few forms make one. `exported`: tensors that must reach memory. */
export function lowerUnit(
  unit: Unit,
  layer: LayerIR,
  { form }: Variant,
  exported: ReadonlySet<string>,
  name: string,
): readonly Kernel[] {
  if (unit.kind === 'rows' && form.form === 'sorted') return lowerSorted(unit, layer, form, name);
  return [lowerWhole(unit, layer, form, exported, name)];
}

function lowerWhole(unit: Unit, layer: LayerIR, form: Form, exported: ReadonlySet<string>, name: string): Kernel {
  switch (unit.kind) {
    case 'generic':
      return lowerGeneric(unit.statement, layer, name);
    case 'rows':
      if (form.form === 'subtrees') return lowerSubtrees(unit, layer, exported, form, name);
      if (form.form === 'grouped') return lowerGrouped(unit, layer, form, name);
      return lowerRows(unit, layer, exported, name, form.form === 'rows' ? form : undefined);
    case 'contract': {
      if (form.form === 'tile') return lowerTile(unit, layer, form, name);
      if (form.form === 'blocks') return lowerContract(unit, layer, form, name);
      const { statement } = unit;
      const each = { kind: 'rows', statements: [{ statement, rowAxes: statement.axes.map((_, i) => i) }] } as const;
      return lowerRows(each, layer, exported, name);
    }
  }
}
