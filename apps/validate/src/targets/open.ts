/** Opens the targets a user named, those worth trying, or all. */

import { closest } from '@espalier/ir';
import { UsageError } from '../errors.ts';
import type { OpenTarget, TargetFamily } from './family.ts';

/** A target of `all` that this machine does not have. */
export interface Unavailable {
  readonly spec: string;
  /** The runtime's own words. */
  readonly reason: string;
}

export interface OpenedTargets {
  readonly targets: readonly OpenTarget[];
  readonly unavailable: readonly Unavailable[];
}

/** Stands for every target this machine has. */
export const ALL = 'all';

/** What a runtime answers where the machine lacks a driver, a device or a program. */
const isAbsence = (error: unknown): boolean => (error as { readonly code?: unknown } | null)?.code === 'R026';

/**
 * Opens each spec once. What `all` stands for may be missing; a target that was named must be there. Throws UsageError V002
 * for a family nobody provides or a spec its runtime refuses; what was opened by then is closed.
 */
export async function openTargets(specs: readonly string[], families: readonly TargetFamily[]): Promise<OpenedTargets> {
  const named = specs.length > 0 ? specs : families.flatMap((family) => family.defaults());
  const wanted = new Set(
    named.flatMap((spec) =>
      spec === ALL ? families.flatMap((family) => family.all?.() ?? family.defaults()) : [spec],
    ),
  );
  const targets: OpenTarget[] = [];
  const unavailable: Unavailable[] = [];
  try {
    for (const spec of wanted) {
      const family = families.find((candidate) => candidate.name === spec.split(':')[0]);
      if (family === undefined) throw unknownTarget(spec, families);
      try {
        targets.push(await family.open(spec));
      } catch (cause) {
        const detail = cause instanceof Error ? cause.message : String(cause);
        if (!isAbsence(cause) || named.includes(spec))
          throw new UsageError('V002', `target ${spec} does not open: ${detail}`, suggestion(spec, families), {
            cause,
          });
        unavailable.push({ spec, reason: detail });
      }
    }
    return { targets, unavailable };
  } catch (error) {
    for (const target of targets) target[Symbol.dispose]();
    throw error;
  }
}

const suggestion = (spec: string, families: readonly TargetFamily[]): string => {
  const known = [...families.flatMap((family) => family.known), ALL];
  const near = closest(spec, known);
  return near === null || near === spec
    ? `Targets: ${known.join(', ')}.`
    : `Did you mean ${near}? Targets: ${known.join(', ')}.`;
};

const unknownTarget = (spec: string, families: readonly TargetFamily[]): UsageError =>
  new UsageError('V002', `there is no target ${JSON.stringify(spec)}`, suggestion(spec, families));
