/** How far outputs are from what they should be. */

/** Outputs by name. */
export type Tensors = Readonly<Record<string, ArrayLike<number>>>;

/** float32 through a few layers: a wrong kernel is off by about 1. */
export const TOLERANCE = 1e-4;

/** The largest difference, relative to the largest value of each output. Throws Error where there is nothing to compare. */
export function differenceOf(outputs: Tensors, expected: Tensors): number {
  let worst = 0;
  for (const [name, reference] of Object.entries(expected)) {
    const found = outputs[name];
    if (found?.length !== reference.length)
      throw new Error(`output ${name} has ${found?.length ?? 'no'} elements, not ${reference.length}`);
    const largest = Array.from(reference).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (let i = 0; i < reference.length; i++) {
      const off = Math.abs((found[i] as number) - (reference[i] as number)) / largest;
      // NaN is worse than any number.
      if (!(off <= worst)) worst = off;
    }
  }
  return worst;
}
