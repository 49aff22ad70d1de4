/**
 * What a tuning that was read from a file must be, so that every number of rows has its kernel: a gap would leave outputs unwritten, and
 * nothing would say so. Whether a form suits its unit is for the lowering to say.
 */
import type { Form } from './target.ts';

/** A member of a form: a whole number from 1 or from 0, a flag, or an object of whole numbers; "?" may be left out. */
type Kind = 'count' | 'size' | 'flag' | 'counts' | 'object';
type Members<F> = F extends unknown ? { readonly [M in Exclude<keyof F, 'form'>]-?: Kind | `${Kind}?` } : never;

/** Every form with its members. A form that the compiler gains makes this incomplete, and says so when types are checked. */
const forms: { readonly [F in Form as F['form']]: Members<F> } = {
  blocks: { rows: 'count', columns: 'count', depth: 'count', registers: 'counts?', touch: 'counts?' },
  tile: {
    rows: 'count',
    columns: 'count',
    depth: 'count',
    laneRows: 'count',
    laneColumns: 'count',
    subgroups: 'count',
    lanes: 'count',
    stages: 'count?',
    matrix: 'object?',
  },
  elements: {},
  rows: { together: 'count', accumulators: 'count?', deferred: 'flag?', clamped: 'flag?' },
  grouped: {
    chunk: 'count',
    first: 'size',
    block: 'count',
    together: 'count',
    alone: 'size?',
    accumulators: 'count?',
  },
  sorted: { first: 'size', stretches: 'count', subgroups: 'count', lanes: 'count' },
  subtrees: { levels: 'count', subgroups: 'count', lanes: 'count', team: 'count' },
};

type Fields = Readonly<Record<string, unknown>>;
const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown, least: number): value is number =>
  Number.isInteger(value) && (value as number) >= least;

const kinds: Readonly<Record<Kind, { readonly called: string; readonly isGood: (value: unknown) => boolean }>> = {
  count: { called: 'a whole number from 1', isGood: (value) => isCount(value, 1) },
  size: { called: 'a whole number from 0', isGood: (value) => isCount(value, 0) },
  flag: { called: 'true or false', isGood: (value) => typeof value === 'boolean' },
  counts: {
    called: 'an object of whole numbers from 1',
    isGood: (value) => isObject(value) && Object.values(value).every((one) => isCount(one, 1)),
  },
  object: { called: 'an object', isGood: isObject },
};

function formProblem(form: unknown): string | null {
  if (!isObject(form)) return 'has no form';
  const name = form['form'];
  if (typeof name !== 'string' || !Object.hasOwn(forms, name))
    return `has the form ${JSON.stringify(name)}; there are ${Object.keys(forms).join(', ')}`;
  const members: Readonly<Record<string, string>> = forms[name as Form['form']];
  const unknown = Object.keys(form).find((member) => member !== 'form' && !Object.hasOwn(members, member));
  if (unknown !== undefined) return `has the form ${name} with ${unknown}, which that has not`;
  for (const [member, kind] of Object.entries(members)) {
    if (kind.endsWith('?') && form[member] === undefined) continue;
    const { called, isGood } = kinds[kind.replace('?', '') as Kind];
    if (!isGood(form[member])) return `has the form ${name} whose ${member} is not ${called}`;
  }
  return null;
}

/** What is wrong with a tuning's variants by shape; null for nothing. */
export function tuningProblem(shapes: unknown): string | null {
  if (!isObject(shapes)) return 'has no variants by shape';
  for (const [shape, variants] of Object.entries(shapes)) {
    if (!Array.isArray(variants) || variants.length === 0) return `"${shape}" has no variants`;
    const names = new Set<unknown>();
    let covered: number | undefined = 0;
    for (const [i, variant] of variants.entries()) {
      const which = `variant ${i + 1} of "${shape}"`;
      if (!isObject(variant) || typeof variant['name'] !== 'string') return `${which} has no name`;
      const { name, from, below, form } = variant;
      if (names.has(name)) return `${which} is called ${JSON.stringify(name)}, as another is`;
      names.add(name);
      if (from !== covered)
        return `${which} begins at ${JSON.stringify(from)} rows; ${covered === undefined ? 'the one before has no end' : `those from ${covered} on have none`}`;
      if (below !== undefined && !isCount(below, (from as number) + 1)) return `${which} ends before it begins`;
      covered = below as number | undefined;
      const problem = formProblem(form);
      if (problem !== null) return `${which} ${problem}`;
    }
    if (covered !== undefined) return `"${shape}" has no variant for ${covered} rows and more`;
  }
  return null;
}
