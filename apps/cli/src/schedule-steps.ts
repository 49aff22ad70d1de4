/** The steps of a schedule as a file may hold them: every step of the compiler with its members, checked before use. */
import type { Step } from '@espalier/codegen';

type Kind = 'number' | 'string';
type Members<S> = { readonly [M in Exclude<keyof S, 'step'>]-?: Kind | 'number?' };

/** Members of each step; "?" may be left out. A step that the compiler gains makes this incomplete, and says so when types are checked. */
export const stepMembers: { readonly [S in Step as S['step']]: Members<S> } = {
  pack: { buffer: 'string', axis: 'number', block: 'number' },
  vectorise: { loop: 'string', lanes: 'number', accumulators: 'number' },
  jam: { loop: 'string', by: 'number' },
  interleave: { loop: 'string', by: 'number' },
  repeat: { loop: 'string', by: 'number' },
  unroll: { loop: 'string', limit: 'number' },
  spread: { subgroups: 'number', lanes: 'number', workgroups: 'number?' },
  cooperate: { subgroups: 'number', lanes: 'number', memory: 'number', workgroups: 'number?' },
};

export const stepNames: readonly string[] = Object.keys(stepMembers);

/** What is wrong with a step as read from a file; null for nothing. */
export function stepProblem(
  value: unknown,
): { readonly says: string; readonly word: string | null; readonly known: readonly string[] } | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { says: 'is no object', word: null, known: [] };
  const step = value as Readonly<Record<string, unknown>>;
  const name = step['step'];
  if (typeof name !== 'string') return { says: 'has no name ("step")', word: null, known: stepNames };
  if (!Object.hasOwn(stepMembers, name))
    return { says: `is called ${name}, which no step is`, word: name, known: stepNames };
  const members = stepMembers[name as Step['step']] as Readonly<Record<string, string>>;
  const known = Object.keys(members);
  for (const given of Object.keys(step))
    if (given !== 'step' && !known.includes(given)) return { says: `(${name}) has no ${given}`, word: given, known };
  for (const [member, kind] of Object.entries(members)) {
    const there = step[member];
    if (there === undefined && kind.endsWith('?')) continue;
    const wanted = kind.replace('?', '');
    const good = wanted === 'string' ? typeof there === 'string' : Number.isInteger(there) && (there as number) >= 0;
    if (!good)
      return {
        says: `(${name}) needs ${member}, ${wanted === 'string' ? 'a string' : 'a whole number'}`,
        word: null,
        known,
      };
  }
  return null;
}
