/** Targets that compute a unit in one form, whatever the number of rows. */
import type { Form, Target } from '@espalier/codegen';

/**
 * `base` with the form that `choose` makes of the forms it has for a unit, for all numbers of rows; where `choose` has none, as
 * `base` does it. `seen` hears of each form that was chosen.
 */
export const forced = (
  base: Target,
  choose: (forms: readonly Form[]) => Form | undefined,
  seen: (form: Form) => void = () => {},
): Target => ({
  ...base,
  variants(unit, capabilities, layer) {
    const all = base.variants(unit, capabilities, layer);
    const form = choose(all.map((v) => v.form));
    if (form === undefined) return all;
    seen(form);
    return [{ name: '', from: 0, form }];
  },
});
