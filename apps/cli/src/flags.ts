/** Options that several commands share: how the layer is called, and how its code is made. */
import type { Capabilities, Schedule, Target } from '@espalier/codegen';
import { assignments } from './assignments.ts';
import { UsageError } from './errors.ts';
import type { LayerFlags } from './layer-source.ts';
import { readSchedules } from './schedule-file.ts';
import type { Surroundings } from './surroundings.ts';
import { capabilitiesFor, findTargets, targetNames } from './targets.ts';
import { withTuning } from './tuning-file.ts';
import type { WatchOptions } from './watch.ts';

export interface CodeFlags extends LayerFlags {
  readonly target?: string;
  readonly capability?: readonly string[];
  readonly strategy: 'best' | 'generic';
  readonly schedule?: string;
  readonly tuning?: string;
}

/** A target with the capabilities it is compiled for. */
export interface AskedTarget {
  readonly target: Target;
  readonly capabilities: Capabilities;
}

/** The value of an option that must be there. Throws UsageError U001. */
export function needed(value: string | undefined, option: string, example: string): string {
  if (value !== undefined) return value;
  throw new UsageError('U001', `${option} is missing`, `${option} takes e.g. ${example}; --help says more.`);
}

/** The targets that were asked for; a remark on the tuning goes to the error stream. Throws UsageError as `findTargets`, `capabilitiesFor` and `withTuning`. */
export async function askedTargets(
  flags: Pick<CodeFlags, 'target' | 'capability' | 'tuning'>,
  { cwd, error }: Pick<Surroundings, 'cwd' | 'error'>,
): Promise<readonly AskedTarget[]> {
  const found = await findTargets(needed(flags.target, '--target', targetNames.join(', ')), cwd);
  const capabilities = capabilitiesFor(assignments(flags.capability ?? [], '--capability'), found);
  const asked = found.map((target) => ({ target, capabilities: capabilities.get(target) ?? {} }));
  return flags.tuning === undefined ? asked : withTuning(asked, flags.tuning, cwd, (text) => error.write(text));
}

/** What `watch` is told. Throws UsageError U008. */
export async function watchOptions(
  flags: CodeFlags,
  { capabilities }: AskedTarget,
  cwd: string,
  progress: (text: string) => void,
): Promise<WatchOptions> {
  const schedules: Readonly<Record<string, Schedule>> | undefined =
    flags.schedule === undefined ? undefined : await readSchedules(flags.schedule, cwd);
  return { capabilities, strategy: flags.strategy, progress, ...(schedules === undefined ? {} : { schedules }) };
}
