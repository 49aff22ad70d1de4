/**
 * `espalier bench`: hands on to the package that measures. That package brings the peers it compares with, some of them large, so
 * it is not a dependency of this one: who wants to measure installs it.
 */
import { UsageError } from '../errors.ts';
import type { ExitCode, Surroundings } from '../surroundings.ts';

interface Bench {
  benchCommand(given: readonly string[], around: Surroundings): Promise<ExitCode>;
}

const PACKAGE = '@espalier/app-bench';

/** Throws UsageError U011 where the package that measures is not installed. */
export async function benchOf(given: readonly string[], around: Surroundings, from = PACKAGE): Promise<ExitCode> {
  let bench: Bench;
  try {
    bench = (await import(from)) as Bench;
  } catch (cause) {
    if ((cause as { readonly code?: string }).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new UsageError('U011', `${from} is not installed`, `npm install ${from}`, { cause });
  }
  return bench.benchCommand(given, around);
}
