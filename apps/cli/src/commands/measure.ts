/**
 * `espalier bench` and `espalier tune`: handed on to the package that measures. That package brings the peers it compares with, some of them large, so
 * it is not a dependency of this one: who wants to measure installs it.
 */
import { UsageError } from '../errors.ts';
import type { ExitCode, Surroundings } from '../surroundings.ts';

type Command = (given: readonly string[], around: Surroundings) => Promise<ExitCode>;

const PACKAGE = '@espalier/app-bench';

/** The options of a command of the package that measures; none where it is not installed. */
export async function measuringOptions(command: 'bench' | 'tune', from = PACKAGE): Promise<readonly string[]> {
  const found = (await import(from).catch(() => ({}))) as Partial<
    Record<`${typeof command}Options`, readonly string[]>
  >;
  return found[`${command}Options`] ?? [];
}

/** Runs a command of the package that measures. Throws UsageError U011 where it is not installed. */
export async function measuring(
  command: 'benchCommand' | 'tuneCommand',
  given: readonly string[],
  around: Surroundings,
  from = PACKAGE,
): Promise<ExitCode> {
  let commands: Readonly<Record<typeof command, Command>>;
  try {
    commands = (await import(from)) as typeof commands;
  } catch (cause) {
    if ((cause as { readonly code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new UsageError('U011', `${from} is not installed`, `npm install ${from}`, { cause });
  }
  return commands[command](given, around);
}
