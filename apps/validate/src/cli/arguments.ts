/** From the command line to what was asked, with every mistake named and a way out. */

import { parseArgs } from 'node:util';
import { closest } from '@espalier/ir';
import { UsageError } from '../errors.ts';

/** What was asked. */
export interface Arguments {
  readonly checkpoints: readonly string[];
  readonly golden: readonly string[];
  readonly texts: readonly string[];
  /** Empty: the defaults. */
  readonly targets: readonly string[];
  /** Folder of the HTML report; null for none. */
  readonly report: string | null;
  readonly json: string | null;
  readonly outputs: string | null;
  readonly repro: string | null;
  readonly colour: boolean;
  readonly verbose: boolean;
  readonly timing: boolean;
  readonly help: boolean;
}

/** Where the report goes when nobody says. */
export const DEFAULT_REPORT = 'report/validate';

const options = {
  golden: { type: 'string', multiple: true },
  text: { type: 'string', multiple: true },
  targets: { type: 'string', multiple: true },
  report: { type: 'string' },
  'no-report': { type: 'boolean' },
  json: { type: 'string' },
  outputs: { type: 'string' },
  repro: { type: 'string' },
  'no-color': { type: 'boolean' },
  'no-timing': { type: 'boolean' },
  verbose: { type: 'boolean', short: 'v' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Every option as it is written. */
export const optionNames: readonly string[] = Object.keys(options).map((name) => `--${name}`);

/** Reads the arguments. Throws UsageError V001 (unknown option, bad value) and V007 (options that contradict each other). */
export function readArguments(given: readonly string[]): Arguments {
  // pnpm hands its own "--" on to the script.
  const args = given[0] === '--' ? given.slice(1) : [...given];
  const parsed = parse(args);
  const { values, positionals } = parsed;
  const targets = (values.targets ?? []).flatMap(splitTargets);
  for (const [name, value] of Object.entries(values))
    for (const text of Array.isArray(value) ? value : [value])
      if (text === '')
        throw new UsageError('V001', `--${name} has an empty value`, 'Write it after a space or an equals sign.');
  if (values.targets !== undefined && targets.length === 0)
    throw new UsageError('V001', '--targets names no target', 'Write e.g. --targets wasm,wasm:threads=2.');
  if (values.repro !== undefined && positionals.length + (values.golden?.length ?? 0) + (values.text?.length ?? 0) > 0)
    throw new UsageError(
      'V007',
      '--repro replays one file; it takes no checkpoint, --golden or --text',
      'Give --repro alone, with --targets to replay it elsewhere.',
    );
  if (values['no-report'] === true && values.report !== undefined)
    throw new UsageError('V007', '--report and --no-report contradict each other', 'Leave one of them out.');
  if (positionals.includes(''))
    throw new UsageError('V001', 'a checkpoint has an empty name', 'Name a folder, a file, or a model of the Hub.');
  return {
    checkpoints: positionals,
    golden: values.golden ?? [],
    texts: values.text ?? [],
    targets,
    report: values['no-report'] === true ? null : (values.report ?? DEFAULT_REPORT),
    json: values.json ?? null,
    outputs: values.outputs ?? null,
    repro: values.repro ?? null,
    colour: values['no-color'] !== true,
    verbose: values.verbose === true,
    timing: values['no-timing'] !== true,
    help: values.help === true,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (cause) {
    const code = (cause as { readonly code?: string }).code;
    const message = cause instanceof Error ? cause.message : String(cause);
    const named = /'(-{1,2}[^\s'<]+)/.exec(message)?.[1] ?? '';
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      const near = closest(named.split('=')[0] as string, optionNames);
      const hint = near === null ? `Options: ${optionNames.join(', ')}.` : `Did you mean ${near}? --help lists all.`;
      throw new UsageError('V001', `there is no option ${named}`, hint, { cause });
    }
    if (code === 'ERR_PARSE_ARGS_INVALID_OPTION_VALUE')
      throw new UsageError(
        'V001',
        message.split('\n')[0] as string,
        'A value that begins with a dash needs an equals sign: --text="-…".',
        { cause },
      );
    throw new UsageError('V001', message.split('\n')[0] as string, 'See --help.', { cause });
  }
}

/**
 * `wasm,wasm:threads=2,plain,wasm:plain`: a comma also stands inside a target, so a part without a family belongs to the target
 * before it when that has a colon.
 */
export function splitTargets(list: string): readonly string[] {
  const targets: string[] = [];
  for (const part of list.split(',').map((text) => text.trim())) {
    const before = targets.at(-1);
    const isOption = /^(plain|wide|threads=.*|nvcc|nvrtc|ptx)$/.test(part);
    if (isOption && before?.includes(':') === true) targets[targets.length - 1] = `${before},${part}`;
    else if (part !== '') targets.push(part);
  }
  return targets;
}
