/** Sizes over runtime dims as people read them: "9.46M · T". */
import { evaluateSize, type LaunchCondition, type SizeExpr } from '@espalier/artefact';

const units = [
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e4, 'k'],
] as const;

/** 9458688 → "9.46M". */
export function countText(value: number): string {
  for (const [size, unit] of units)
    if (value >= size) {
      const scaled = value / (unit === 'k' ? 1e3 : size);
      return `${Number(scaled.toPrecision(3))}${unit}`;
    }
  return String(value);
}

const LEVELS = { '+': 1, '-': 1, '*': 2 } as const;

const isOpen = (size: SizeExpr): boolean =>
  typeof size === 'string' || (typeof size === 'object' && (isOpen(size[1]) || isOpen(size[2])));

/** An expression with its numbers short: ["*", "T", 9458688] → "9.46M·T". What holds no dim is a number. */
export function sizeText(size: SizeExpr, level = 0): string {
  if (typeof size === 'string') return size;
  if (typeof size === 'number' || !isOpen(size)) return countText(evaluateSize(size, {}));
  const [op, left, right] = size;
  if (op !== '+' && op !== '-' && op !== '*') return `${op}(${sizeText(left)}, ${sizeText(right)})`;
  const own = LEVELS[op];
  // A number goes before what it multiplies.
  const [first, second] = op === '*' && typeof right === 'number' ? [right, left] : [left, right];
  const sign = op === '*' ? '·' : ` ${op} `;
  const text = `${sizeText(first, own)}${sign}${sizeText(second, op === '-' ? own + 1 : own)}`;
  return own < level ? `(${text})` : text;
}

/** ", where T < 16": for which sizes a kernel runs; empty for all. */
export function conditionText(when: LaunchCondition | undefined): string {
  if (when === undefined) return '';
  const size = sizeText(when.size, 1);
  const from = when.from > 0 ? `${when.from} ≤ ` : '';
  return `, where ${from}${size}${when.below === undefined ? '' : ` < ${when.below}`}`;
}
