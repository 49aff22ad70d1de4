/**
 * Size expressions as they stand in a manifest: plain JSON over the runtime dims, so that a runtime needs no compiler
 * to know how much memory a buffer takes or how many grid steps a launch has.
 */

/** A number, a dim's name, or a prefix operation; "ceildiv" rounds up; "max" takes the larger, "min" the smaller. */
export type SizeExpr = number | string | readonly ['+' | '-' | '*' | 'ceildiv' | 'max' | 'min', SizeExpr, SizeExpr];

/** Dim values by name. */
export type DimValues = Readonly<Record<string, number>>;

/** The value of an expression. Throws RangeError for a dim that `dims` lacks and for a divisor of 0. */
export function evaluateSize(expr: SizeExpr, dims: DimValues): number {
  if (typeof expr === 'number') return expr;
  if (typeof expr === 'string') {
    const value = dims[expr];
    if (value === undefined) throw new RangeError(`no value for dim ${expr}`);
    return value;
  }
  const [op, left, right] = expr;
  const a = evaluateSize(left, dims);
  const b = evaluateSize(right, dims);
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case 'max':
      return Math.max(a, b);
    case 'min':
      return Math.min(a, b);
    case 'ceildiv':
      if (b === 0) throw new RangeError('ceildiv by 0');
      return Math.ceil(a / b);
  }
}
