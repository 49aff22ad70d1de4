/**
 * Finds the runtime dims of a call from what was given: stated dims, shapes, and numbers of elements. Each dim remembers
 * where its value came from, so that a conflict names both sides. Nothing is guessed: a dim that stays open is an error.
 */
import { type DimValues, evaluateSize, type SizeExpr } from '@espalier/artefact';
import { RuntimeError } from './errors.ts';

/** A tensor the dims may be read from. */
export interface DimSource {
  readonly name: string;
  /** Declared shape over the dims. */
  readonly declared: readonly SizeExpr[];
  /** Given shape, where there is one. */
  readonly shape?: readonly number[];
  /** Given number of elements. */
  readonly length: number;
}

/** An expression as people write it: T * (D + 1). */
export const formatSize = (expr: SizeExpr): string => {
  if (!Array.isArray(expr)) return String(expr);
  const [op, left, right] = expr as readonly [string, SizeExpr, SizeExpr];
  const level = (o: string): number => (o === '*' ? 2 : o === '+' || o === '-' ? 1 : 3);
  const part = (side: SizeExpr, right: boolean): string => {
    const text = formatSize(side);
    if (!Array.isArray(side)) return text;
    const inner = level(side[0]);
    return inner < level(op) || (right && inner === level(op) && op !== side[0]) || (right && side[0] === '-')
      ? `(${text})`
      : text;
  };
  return /^[-+*]$/.test(op)
    ? `${part(left, false)} ${op} ${part(right, true)}`
    : `${op}(${formatSize(left)}, ${formatSize(right)})`;
};

/** A declared shape with the values known so far: [T = 5, 768]. */
export function formatShape(shape: readonly SizeExpr[], dims: DimValues = {}): string {
  const axis = (expr: SizeExpr): string => {
    if (typeof expr === 'number') return String(expr);
    const open = dimsOf(expr).some((dim) => dims[dim] === undefined);
    return open ? formatSize(expr) : `${formatSize(expr)} = ${evaluateSize(expr, dims)}`;
  };
  return `[${shape.map(axis).join(', ')}]`;
}

/** Names of dims in an expression, once for each occurrence. */
export const dimsOf = (expr: SizeExpr): readonly string[] =>
  typeof expr === 'number' ? [] : typeof expr === 'string' ? [expr] : [...dimsOf(expr[1]), ...dimsOf(expr[2])];

const product = (shape: readonly SizeExpr[]): SizeExpr =>
  shape.length === 0 ? 1 : shape.reduce((a, b) => ['*', a, b] as const);

/** Number of elements of a declared shape under `dims`. */
export const elementCount = (shape: readonly SizeExpr[], dims: DimValues): number => evaluateSize(product(shape), dims);

const isLinear = (expr: SizeExpr, dim: string): boolean => {
  if (!Array.isArray(expr)) return true;
  const [op, left, right] = expr as readonly [string, SizeExpr, SizeExpr];
  if ((op === 'ceildiv' || op === 'max') && dimsOf(expr).includes(dim)) return false;
  return isLinear(left, dim) && isLinear(right, dim);
};

/** `expr` as a line over `dim`, all its other dims being known; undefined where it is none, or a level one. */
function lineOf(
  expr: SizeExpr,
  known: DimValues,
  dim: string,
): { readonly atZero: number; readonly slope: number } | undefined {
  if (dimsOf(expr).filter((name) => name === dim).length !== 1 || !isLinear(expr, dim)) return undefined;
  const atZero = evaluateSize(expr, { ...known, [dim]: 0 });
  const slope = evaluateSize(expr, { ...known, [dim]: 1 }) - atZero;
  return slope === 0 ? undefined : { atZero, slope };
}

/** The one value of `dim` for which `expr` is `value`; undefined where there is none or more than one. */
function solve(expr: SizeExpr, value: number, known: DimValues, dim: string): number | undefined {
  const line = lineOf(expr, known, dim);
  const found = line && (value - line.atZero) / line.slope;
  return found !== undefined && Number.isSafeInteger(found) && found >= 0 ? found : undefined;
}

interface Equation {
  readonly expr: SizeExpr;
  readonly value: number;
  readonly from: string;
}

const given = (source: DimSource): string =>
  source.shape
    ? `"${source.name}" of shape [${source.shape.join(', ')}]`
    : `"${source.name}" of ${source.length} elements`;

function equationsOf(source: DimSource): readonly Equation[] {
  const from = given(source);
  const { shape, declared, length } = source;
  if (!shape) return [{ expr: product(declared), value: length, from }];
  const elements = shape.reduce((a, b) => a * b, 1);
  if (elements !== length)
    throw new RuntimeError(
      'R004',
      `${from} has ${length} elements, the shape takes ${elements}; give the shape of the data`,
    );
  if (shape.length !== declared.length)
    throw new RuntimeError(
      'R004',
      `${from} has ${shape.length} axes, expected ${formatShape(declared)}; reshape it or give its elements alone`,
    );
  return declared.map((expr, axis) => ({ expr, value: shape[axis] as number, from }));
}

/**
 * Values of all `names`. Throws RuntimeError R004 (a shape that fits no values), R005 (two sources disagree), R006 (a dim
 * stays open), R007 (`stated` holds an unknown dim or no size).
 */
export function inferDims(
  names: readonly string[],
  sources: readonly DimSource[],
  stated: Readonly<Record<string, number>> = {},
): DimValues {
  // Of no prototype: a dim may be called `constructor`.
  const values: Record<string, number> = Object.create(null);
  const origin: Record<string, string> = Object.create(null);
  for (const [name, value] of Object.entries(stated)) {
    if (!names.includes(name))
      throw new RuntimeError('R007', `there is no dim ${name}; the dims are ${names.join(', ') || '(none)'}`);
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RuntimeError('R007', `dim ${name} is ${value}; give an integer of at least 0`);
    values[name] = value;
    origin[name] = 'the stated dims';
  }
  let open = sources.flatMap(equationsOf);
  for (let progress = true; progress; ) {
    progress = false;
    const left: Equation[] = [];
    for (const equation of open) {
      const unknown = [...new Set(dimsOf(equation.expr))].filter((dim) => values[dim] === undefined);
      const [dim] = unknown;
      if (dim === undefined) {
        check(equation, values, origin, sources);
        continue;
      }
      const found = unknown.length === 1 ? solve(equation.expr, equation.value, values, dim) : undefined;
      if (found === undefined) {
        left.push(equation);
        continue;
      }
      values[dim] = found;
      origin[dim] = equation.from;
      progress = true;
    }
    open = left;
  }
  const missing = names.filter((name) => values[name] === undefined);
  for (const { expr, value, from } of open) {
    const [dim, ...others] = new Set(dimsOf(expr).filter((name) => values[name] === undefined));
    // One unknown, each value of which gives another size, and still no solution: the size is wrong, not the dim unknown.
    if (dim !== undefined && others.length === 0 && lineOf(expr, values, dim))
      throw new RuntimeError(
        'R004',
        `${from} does not fit: no ${dim} makes ${formatSize(expr)} = ${value}; give as many elements as the declared shape takes`,
      );
  }
  if (missing.length > 0)
    throw new RuntimeError(
      'R006',
      `dim ${missing.join(' and ')} does not follow from the inputs; state it (dims: { ${missing.map((m) => `${m}: …`).join(', ')} }) ` +
        'or give inputs with their shapes',
    );
  return values;
}

/** Throws unless the equation holds under known dims. */
function check(
  { expr, value, from }: Equation,
  values: DimValues,
  origin: Readonly<Record<string, string>>,
  sources: readonly DimSource[],
): void {
  const expected = evaluateSize(expr, values);
  if (expected === value) return;
  const others = [...new Set(dimsOf(expr))].filter((dim) => origin[dim] !== from);
  if (others.length > 0) {
    const known = others.map((dim) => `${dim} = ${values[dim]} (from ${origin[dim]})`).join(', ');
    throw new RuntimeError(
      'R005',
      `${from} conflicts with ${known}: ${formatSize(expr)} must be ${expected}, got ${value}; make the inputs agree`,
    );
  }
  const declared = sources.find((source) => given(source) === from)?.declared ?? [];
  throw new RuntimeError('R004', `${from} does not fit ${formatShape(declared, values)}; give it in that shape`);
}
