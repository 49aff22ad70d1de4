/**
 * Sizes of axes as integer polynomials over named dims, so that "T", "B*S" and "2*S + 1" can be compared, checked and
 * handed to a runtime before their values are known. Every function returns the canonical form: two sizes are equal
 * exactly when their canonical forms are.
 */

/** `coefficient · dims[0] · dims[1] …`; dims sorted, repeated for powers. */
export interface Term {
  readonly coefficient: number;
  readonly dims: readonly string[];
}

/** A sum of terms, sorted by their dims, no zero coefficient; the empty sum is 0. */
export type Size = readonly Term[];

const key = (dims: readonly string[]): string => dims.join('*');

function canonical(terms: readonly Term[]): Size {
  const byKey = new Map<string, Term>();
  for (const term of terms) {
    const dims = [...term.dims].sort();
    const previous = byKey.get(key(dims));
    byKey.set(key(dims), { coefficient: (previous?.coefficient ?? 0) + term.coefficient, dims });
  }
  return [...byKey.values()]
    .filter((term) => term.coefficient !== 0)
    .sort((a, b) => b.dims.length - a.dims.length || (key(a.dims) < key(b.dims) ? -1 : 1));
}

/** A size known at compile time. */
export const constant = (value: number): Size => (value === 0 ? [] : [{ coefficient: value, dims: [] }]);
/** A dim whose value is known when the kernel runs. */
export const dim = (name: string): Size => [{ coefficient: 1, dims: [name] }];
export const add = (a: Size, b: Size): Size => canonical([...a, ...b]);
export const negate = (a: Size): Size => a.map((t) => ({ coefficient: -t.coefficient, dims: t.dims }));
export const subtract = (a: Size, b: Size): Size => add(a, negate(b));
export const multiply = (a: Size, b: Size): Size =>
  canonical(
    a.flatMap((x) => b.map((y) => ({ coefficient: x.coefficient * y.coefficient, dims: [...x.dims, ...y.dims] }))),
  );
/** The product of all; 1 for none. */
export const product = (sizes: readonly Size[]): Size => sizes.reduce(multiply, constant(1));

/** The number a size is, or null when it holds a dim. */
export function constantOf(size: Size): number | null {
  if (size.length === 0) return 0;
  const only = size[0];
  return size.length === 1 && only !== undefined && only.dims.length === 0 ? only.coefficient : null;
}

export const equal = (a: Size, b: Size): boolean => subtract(a, b).length === 0;

/** The names of the dims in a size, sorted. */
export const dimsOf = (size: Size): readonly string[] => [...new Set(size.flatMap((t) => t.dims))].sort();

/** Replaces dims by sizes; dims without a binding stay. */
export function substitute(size: Size, bindings: ReadonlyMap<string, Size>): Size {
  return size.reduce<Size>(
    (sum, term) =>
      add(
        sum,
        term.dims.reduce<Size>((p, name) => multiply(p, bindings.get(name) ?? dim(name)), constant(term.coefficient)),
      ),
    [],
  );
}

/** The value of a size. Throws RangeError for a dim that `values` lacks. */
export function evaluate(size: Size, values: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const term of size) {
    let value = term.coefficient;
    for (const name of term.dims) {
      const dimValue = values.get(name);
      if (dimValue === undefined) throw new RangeError(`no value for dim ${name}`);
      value *= dimValue;
    }
    sum += value;
  }
  return sum;
}

/** As a person writes it: "2*S + 1", "B*S", "0". */
export function format(size: Size): string {
  if (size.length === 0) return '0';
  return size
    .map((term, i) => {
      const magnitude = Math.abs(term.coefficient);
      const factors = magnitude === 1 && term.dims.length > 0 ? term.dims : [String(magnitude), ...term.dims];
      const sign = term.coefficient < 0 ? (i === 0 ? '-' : ' - ') : i === 0 ? '' : ' + ';
      return sign + factors.join('*');
    })
    .join('');
}
