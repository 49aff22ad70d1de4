/** What one core does at most, as the head of a report says it and as shares are taken of it. */
import type { Absence } from '../contract.ts';
import { measureCeilings, type NativeCeilings } from './native/ceilings.ts';

let measured: NativeCeilings | Absence | undefined;

/** Measured once a process, in about a second and a half; an Absence without a C compiler. */
export function ceilings(): NativeCeilings | Absence {
  measured ??= measureCeilings(0.25);
  return measured;
}
