/** The steps of a schedule as a file may hold them: every step of the compiler with its members, checked before use. */
import type { Step } from '@espalier/codegen';

type Kind = 'number' | 'string';
type Members<S> = { readonly [M in Exclude<keyof S, 'step'>]-?: Kind | 'number?' | 'strings?' };

/** Members of each step; "?" may be left out. A step that the compiler gains makes this incomplete, and says so when types are checked. */
export const stepMembers: { readonly [S in Step as S['step']]: Members<S> } = {
  pack: { buffer: 'string', axis: 'number', block: 'number' },
  vectorise: { loop: 'string', lanes: 'number', accumulators: 'number' },
  jam: { loop: 'string', by: 'number' },
  interleave: { loop: 'string', by: 'number', apart: 'strings?' },
  keep: { buffer: 'string' },
  pass: { buffer: 'string' },
  repeat: { loop: 'string', by: 'number' },
  guess: { loop: 'string' },
  unroll: { loop: 'string', limit: 'number' },
  spread: { subgroups: 'number', lanes: 'number', workgroups: 'number?' },
  cooperate: { subgroups: 'number', lanes: 'number', memory: 'number', workgroups: 'number?' },
};

/** What may stand for a member of each kind. */
const kinds = {
  string: { called: 'a string', isGood: (x: unknown) => typeof x === 'string' },
  strings: {
    called: 'a list of strings',
    isGood: (x: unknown) => Array.isArray(x) && x.every((one) => typeof one === 'string'),
  },
  number: { called: 'a whole number', isGood: (x: unknown) => Number.isInteger(x) && (x as number) >= 0 },
} as const;

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
    const wanted = kind.replace('?', '') as keyof typeof kinds;
    const { isGood, called } = kinds[wanted];
    if (!isGood(there))
      return {
        says: `(${name}) needs ${member}, ${called}`,
        word: null,
        known,
      };
  }
  return null;
}
