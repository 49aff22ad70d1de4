/** The command line of replay. */
import { parseArgs } from 'node:util';
import { ReplayError } from './errors.ts';

export const helpText = `pnpm replay [BASE] [HEAD] [options]

Renders every kernel of the corpus (standard layers at two sets of sizes, odd layers of the suite; every target, both
strategies, each yes-or-no capability turned over) at two commits, and shows which texts differ.

BASE           a commit; default: where this branch left main, on main the last commit
HEAD           a commit; default: the working tree as it is
--only NAME    one layer, e.g. --only fff
--html FILE    all differences as a page
--limit N      how many different changes the terminal shows (default 10)
--check        exit code 1 when a kernel changed or is gone; new ones are no difference
--help         this text

Examples:
  pnpm replay                        what did I change since the last commit?
  pnpm replay HEAD~3 --check         did the last three commits and my changes alter any kernel?
  pnpm replay v0.1 v0.2 --html out.html

Exit code: 0, with --check 1 for differences, 2 for a mistake in the arguments or a commit that can't be rendered.
`;

export interface Arguments {
  readonly base: string | null;
  readonly head: string | null;
  readonly only: string;
  readonly html: string | null;
  readonly limit: number;
  readonly check: boolean;
  readonly help: boolean;
}

/** Reads the arguments. Throws ReplayError. */
export function readArguments(given: readonly string[]): Arguments {
  // pnpm hands its own "--" on to the script.
  const args = given[0] === '--' ? given.slice(1) : [...given];
  const { values, positionals } = parsed(args);
  const limit = Number(values.limit ?? '10');
  if (!Number.isInteger(limit) || limit < 0)
    throw new ReplayError(`--limit ${values.limit} is no number of changes`, 'E.g. --limit 50.');
  if (positionals.length > 2)
    throw new ReplayError(`replay compares two commits, and ${positionals.length} are given`, 'See --help.');
  return {
    base: positionals[0] ?? null,
    head: positionals[1] ?? null,
    only: values.only ?? '',
    html: values.html ?? null,
    limit,
    check: values.check === true,
    help: values.help === true,
  };
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        only: { type: 'string' },
        html: { type: 'string' },
        limit: { type: 'string' },
        check: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (cause) {
    throw new ReplayError(cause instanceof Error ? cause.message : String(cause), 'See --help.', { cause });
  }
}
