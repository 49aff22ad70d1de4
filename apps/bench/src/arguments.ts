/** The command line of the bench. */
import { parseArgs } from 'node:util';
import { closest } from '@espalier/ir';
import { baselines } from './baselines/index.ts';
import { type Mode, modes } from './own.ts';

export interface Arguments {
  readonly filter: string;
  readonly tokens: readonly number[];
  readonly threads: readonly number[];
  readonly modes: readonly Mode[];
  readonly baselines: readonly string[];
  readonly seconds: number;
  readonly seed: number;
  readonly long: boolean;
  /** Which groups: those that the other options call for, those of the targets, of the published comparisons, or all of both. */
  readonly groups: 'usual' | 'targets' | 'paper' | 'record';
  readonly only: string | null;
  readonly tuning: string | null;
  readonly record: string | null;
  readonly from: string | null;
  readonly fresh: boolean;
  readonly through: string | null;
  readonly list: boolean;
  readonly help: boolean;
  readonly json: string | null;
  readonly html: string | null;
  readonly markdown: string | null;
  readonly coloured: boolean;
}

/** A mistake in the arguments, with a way out. Exit code 2. */
export class UsageError extends Error {}

/** Names with commas, five a line, in the column of the descriptions. */
const listed = (names: readonly string[]): string =>
  names.map((name, i) => (i === 0 ? name : i % 5 === 0 ? `,\n${' '.repeat(19)}${name}` : `, ${name}`)).join('');

export const HELP = `espalier bench [options]

Times generated WebAssembly kernels beside their peers: in one process, in turns, after every output
was compared with the float64 interpreter. Random weights and inputs; times past the engine's tier-up.

What to measure:
--filter WORDS     only groups whose name has all these words, e.g. "tree 128"
--only NAME        the one group of this name, as --list gives it; or "extras": call overhead, memory, bundle
--tokens LIST      rows of the input (default 1,128,1024; with --long also 16384)
--threads LIST     threads (default 1)
--modes LIST       plain (128-bit), wide (256-bit where the engine fuses; Node only) (default both)
--baselines LIST   ${listed(baselines.map((b) => b.name))}
                   (default: all but published-level1, -level2, -naive and -bmm); none
--tuning FILE      ourselves only: the compiler's own choice of forms beside that of a file which \`espalier tune\`
                   wrote; "shipped": of the one that is shipped for this processor and engine, if any
--seconds N        of turns for each group (default 4)
--seed N           of weights and inputs (default: a fresh one, printed)
--long             also 16,384 tokens and dense layers of 4095 neurons: some minutes
--targets          what was set out to be reached: the groups for it, and a verdict for each row
--paper            the comparisons of the UltraFastBERT paper, published beside measured; takes 8 GB of memory
--list             the groups, and nothing else

What to make of it:
--json FILE        results as data
--html FILE        results as a page with plots
--markdown FILE    results as tables
--from FILE        measures nothing: shows results that --json or --record wrote
--record FILE      the groups of --targets and --paper, each in a process of its own, kept in FILE (JSON) as they
                   are done, with the same as .md and .html beside it. Started again it goes on where it was
--fresh            with --record: measure again what is there already (with --filter: those groups)
--through COMMAND  with --record: runs each of these processes through a command, e.g. "taskset -c 1"
--no-color         no colours (NO_COLOR and FORCE_COLOR are honoured too)
--help, -h         this text

Exit code: 0 done, 1 somebody's output was wrong, 2 a mistake in the arguments or a file that can't be written,
130 stopped by Ctrl-C, which ends early with what there is.
`;

const OPTIONS = {
  filter: { type: 'string' },
  tokens: { type: 'string' },
  threads: { type: 'string' },
  modes: { type: 'string' },
  baselines: { type: 'string' },
  seconds: { type: 'string' },
  seed: { type: 'string' },
  long: { type: 'boolean' },
  paper: { type: 'boolean' },
  targets: { type: 'boolean' },
  only: { type: 'string' },
  tuning: { type: 'string' },
  record: { type: 'string' },
  from: { type: 'string' },
  fresh: { type: 'boolean' },
  through: { type: 'string' },
  list: { type: 'boolean' },
  json: { type: 'string' },
  html: { type: 'string' },
  markdown: { type: 'string' },
  'no-color': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Every option as it is written. */
export const benchOptions: readonly string[] = Object.keys(OPTIONS).map((name) => `--${name}`);

/** Throws UsageError. */
export function readArguments(
  given: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): Arguments {
  let values: ReturnType<typeof parse>['values'];
  try {
    values = parse(given).values;
  } catch (problem) {
    throw optionMistake(problem, Object.keys(OPTIONS));
  }
  const long = values.long === true;
  const wanted = (['targets', 'paper', 'record', 'from'] as const).filter(
    (o) => values[o] !== undefined && values[o] !== false,
  );
  if (wanted.length > 1) throw new UsageError(`--${wanted.join(' and --')} exclude each other`);
  for (const option of ['fresh', 'through'] as const)
    if (values[option] !== undefined && values.record === undefined)
      throw new UsageError(`--${option} goes with --record FILE`);
  for (const option of ['tokens', 'threads', 'modes', 'long'] as const)
    if (values[option] !== undefined && wanted.length > 0)
      throw new UsageError(
        `--${option} does not go with --${wanted[0]}, which has groups of its own; --filter picks some`,
      );
  for (const option of ['record', 'from', 'tuning', 'json', 'html', 'markdown'] as const)
    if (values[option] === '') throw new UsageError(`--${option} has an empty value; name a file`);
  const seconds = Number(values.seconds ?? 4);
  if (!(seconds > 0 && seconds < Number.POSITIVE_INFINITY))
    throw new UsageError(`--seconds is "${values.seconds}"; give a number above 0`);
  const usual = long ? [1, 128, 1024, 16384] : [1, 128, 1024];
  return {
    filter: values.filter ?? '',
    tokens: whole('tokens', values.tokens, usual),
    threads: whole('threads', values.threads, [1]),
    modes: among('modes', values.modes, modes, ['plain', 'wide']),
    baselines:
      values.baselines === 'none'
        ? ['none']
        : among(
            'baselines',
            values.baselines,
            baselines.map((b) => b.name),
            [],
          ),
    seconds,
    seed: seedOf(values.seed),
    long,
    groups:
      values.record !== undefined
        ? 'record'
        : values.targets === true
          ? 'targets'
          : values.paper === true
            ? 'paper'
            : 'usual',
    only: values.only ?? null,
    tuning: values.tuning ?? null,
    record: values.record ?? null,
    from: values.from ?? null,
    fresh: values.fresh === true,
    through: values.through ?? null,
    list: values.list === true,
    help: values.help === true,
    json: values.json ?? null,
    html: values.html ?? null,
    markdown: values.markdown ?? null,
    coloured: values['no-color'] !== true && wantsColour(environment, isTerminal),
  };
}

const parse = (given: readonly string[]) => parseArgs({ args: withoutDashes(given), options: OPTIONS, strict: true });

/** Arguments without the "--" that pnpm hands on to the script. */
export const withoutDashes = (given: readonly string[]): string[] => (given[0] === '--' ? given.slice(1) : [...given]);

/** What `parseArgs` complains of, in words of ours, with the option that was probably meant. */
export function optionMistake(problem: unknown, known: readonly string[]): UsageError {
  const message = problem instanceof Error ? problem.message : String(problem);
  const options = known.map((name) => `--${name}`);
  const named = /^Unknown option '(-{1,2}[^\s'=]*)/.exec(message)?.[1];
  if (named !== undefined) {
    const near = closest(named, options);
    return new UsageError(
      `there is no option ${named}; ${near === null ? `it knows ${options.join(', ')}` : `did you mean ${near}?`}`,
    );
  }
  const unasked = /^Unexpected argument '(.*?)'/s.exec(message)?.[1];
  if (unasked !== undefined)
    return new UsageError(`"${unasked}" belongs to no option; one of several words needs quotes`);
  const [, option, ambiguous] =
    /^Option '[^']*?(--[\w-]+)[^']*' argument (?:missing|(is ambiguous))/.exec(message) ?? [];
  if (option !== undefined)
    return new UsageError(
      `${option} needs a value${ambiguous === undefined ? '' : `; one that begins with a dash is written ${option}=-…`}`,
    );
  return new UsageError(message.split('\n')[0] ?? message);
}

/** Whether to paint: NO_COLOR and FORCE_COLOR are honoured, then whether it is a terminal. */
function wantsColour(environment: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '') return false;
  const forced = environment['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return isTerminal && environment['TERM'] !== 'dumb';
}

function seedOf(text: string | undefined): number {
  if (text === undefined) return Math.floor(Math.random() * 2 ** 31);
  if (!/^\d{1,10}$/.test(text)) throw new UsageError(`--seed is "${text}"; give one whole number, e.g. --seed 7`);
  return Number(text);
}

/** Most threads that a device of WebAssembly has. */
const MOST_THREADS = 64;

function whole(name: string, text: string | undefined, usual: readonly number[]): readonly number[] {
  if (text === undefined) return usual;
  return text.split(',').map((part) => {
    const n = Number(part);
    const most = name === 'threads' ? MOST_THREADS : Number.MAX_SAFE_INTEGER;
    if (part.trim() === '' || !Number.isInteger(n) || n < 1 || n > most)
      throw new UsageError(
        `--${name} has "${part}"; give whole numbers from 1${name === 'threads' ? ` to ${most}, with commas between: --threads 1,2` : `, with commas between: --${name} 1,128`}`,
      );
    return n;
  });
}

function among<T extends string>(
  name: string,
  text: string | undefined,
  known: readonly T[],
  usual: readonly T[],
): readonly T[] {
  if (text === undefined) return usual;
  const picked = text.split(',');
  const unknown = picked.find((p) => !known.includes(p as T));
  if (unknown !== undefined) throw new UsageError(`--${name} has "${unknown}"; it knows ${known.join(', ')}`);
  return known.filter((k) => picked.includes(k));
}
