/** `--dims D=768,H=3072`: lists of names with values, as several options take them. */
import { UsageError } from './errors.ts';

/** Names and values as written, in order; a name given twice keeps its last value. Throws UsageError U005. */
export function assignments(given: readonly string[], option: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const part of given.flatMap((text) => text.split(',')).map((text) => text.trim())) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = part.slice(0, at).trim();
    const value = part.slice(at + 1).trim();
    if (at <= 0 || name === '' || value === '')
      throw new UsageError(
        'U005',
        `${option} takes NAME=VALUE, and ${part} is given`,
        `E.g. ${option} ${at > 0 ? name : part}=…`,
      );
    values.set(name, value);
  }
  return values;
}

/** The largest size of a dim. */
const LARGEST = 2 ** 31 - 1;

/** A dim's value. Throws UsageError U005 for anything but a whole number that fits. */
export function sizeOf(name: string, text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isInteger(value) || value > LARGEST)
    throw new UsageError('U005', `${name}=${text} is no size`, `A size is a whole number from 0 to ${LARGEST}.`);
  return value;
}

/** true, false, a number, or a word. */
export function wordValue(text: string): boolean | number | string {
  if (text === 'true' || text === 'false') return text === 'true';
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}
