/** Opens the targets a user named, or those worth trying. */

import { closest } from '../cli/closest.ts';
import { UsageError } from '../errors.ts';
import type { OpenTarget, TargetFamily } from './family.ts';

/**
 * Opens each spec once. Throws UsageError V002 for a family nobody provides or a spec its runtime refuses; what was opened
 * by then is closed.
 */
export async function openTargets(
  specs: readonly string[],
  families: readonly TargetFamily[],
): Promise<readonly OpenTarget[]> {
  const wanted = specs.length > 0 ? specs : families.flatMap((family) => family.defaults());
  const open: OpenTarget[] = [];
  try {
    for (const spec of new Set(wanted)) {
      const family = families.find((candidate) => candidate.name === spec.split(':')[0]);
      if (family === undefined) throw unknownTarget(spec, families);
      try {
        open.push(await family.open(spec));
      } catch (cause) {
        const detail = cause instanceof Error ? cause.message : String(cause);
        throw new UsageError('V002', `target ${spec} does not open: ${detail}`, suggestion(spec, families), { cause });
      }
    }
    return open;
  } catch (error) {
    for (const target of open) target[Symbol.dispose]();
    throw error;
  }
}

const suggestion = (spec: string, families: readonly TargetFamily[]): string => {
  const known = families.flatMap((family) => family.known);
  const near = closest(spec, known);
  return near === null ? `Targets: ${known.join(', ')}.` : `Did you mean ${near}? Targets: ${known.join(', ')}.`;
};

const unknownTarget = (spec: string, families: readonly TargetFamily[]): UsageError =>
  new UsageError('V002', `there is no target ${JSON.stringify(spec)}`, suggestion(spec, families));
