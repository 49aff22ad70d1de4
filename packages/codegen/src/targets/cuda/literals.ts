/** Numbers as C++ writes them. */
import type { ScalarType } from '../../kernel-ir/types.ts';
import { BINDS, prefix, primary, type Text } from '../../print/c-family.ts';

/** A literal; negative ones bind as the sign they begin with. */
export function writeLiteral(value: number, scalar: ScalarType): Text {
  if (scalar === 'bool') return primary(value === 0 ? 'false' : 'true');
  const text = scalar === 'i32' ? integer(value) : float(Math.fround(value));
  return { text, binds: text.startsWith('-') ? BINDS.unary : BINDS.primary };
}

/** An i32 as the bits it has; with the sign bit C++ takes them for unsigned. */
export function writeMask(value: number): Text {
  const bits = `0x${(value >>> 0).toString(16).padStart(8, '0')}`;
  return value < 0 ? prefix('(int)', primary(bits)) : primary(bits);
}

/** The least i32 has no literal: C++ reads a minus and a number that is too large. */
const integer = (value: number): string => (value === -2147483648 ? '(-2147483647 - 1)' : String(Math.trunc(value)));

function float(value: number): string {
  if (Number.isNaN(value)) return '__int_as_float(0x7fffffff)';
  if (!Number.isFinite(value)) return `${value < 0 ? '-' : ''}__int_as_float(0x7f800000)`;
  if (Object.is(value, -0)) return '-0.0f';
  const text = shortest(value);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** The fewest digits that any reader takes for this f32. */
function shortest(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = String(Number(value.toPrecision(digits)));
    const read = Number(text);
    // Not so near a tie that reading by way of a double decides it.
    const margin = Math.abs(read) * 2 ** -50;
    if (Math.fround(read - margin) === value && Math.fround(read + margin) === value) return text;
  }
  return String(value);
}
