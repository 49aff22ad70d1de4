/** `espalier tune`. */
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { wasm } from '@espalier/codegen';
import { DiagnosticError, type LayerIR, standardLayer } from '@espalier/ir';
import { optionMistake, UsageError, withoutDashes } from '../arguments.ts';
import type { Surroundings } from '../cli.ts';
import { mustBeWritable, readJson, writeWhole } from '../files.ts';
import { keyText, machineKey, sameMachine } from '../machine.ts';
import { type Choice, isTuningFile, joined, type TuningFile, tuneLayer } from './tune.ts';

export const TUNE_HELP = `espalier tune LAYER --dims D=768,… --out FILE [options]

Finds the forms (tiles, blocks, walks side by side) that are fastest here for a layer of the standard library,
for 128-bit or 256-bit WebAssembly, and keeps them in FILE with the processor, the engine and the shape
that they are for; \`espalier compile … --tuning FILE\` and \`espalier bench --tuning FILE\` use it. Kept is only what
is faster than the compiler's own choice by more than noise, once more beside it after the search. Stopped
and started again it goes on where it was.

--dims LIST     sizes of the layer's weights, D=768,H=3072,O=768
--rows LIST     numbers of rows to tune for (default 1,16,128,1024)
--mode MODE     plain (default) or wide
--seconds N     for each unit and number of rows (default 6)
--out FILE      the tuning file, JSON
--help, -h      this text

Exit code: 0 done, 2 a mistake in the arguments or a file that can't be written, 130 stopped by Ctrl-C; what was found
until then is kept.
`;

const OPTIONS = {
  dims: { type: 'string' },
  rows: { type: 'string' },
  mode: { type: 'string' },
  seconds: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Every option as it is written. */
export const tuneOptions: readonly string[] = Object.keys(OPTIONS).map((name) => `--${name}`);

/** Runs the command and gives its exit code. */
export async function tuneCommand(given: readonly string[], { out, error }: Surroundings): Promise<0 | 2 | 130> {
  try {
    return await run(given, out, error);
  } catch (mistake) {
    if (!(mistake instanceof UsageError)) throw mistake;
    error.write(`tune: ${mistake.message}\n(--help says how it is used)\n`);
    return 2;
  }
}

async function run(given: readonly string[], out: Surroundings['out'], error: Surroundings['error']): Promise<0 | 130> {
  const { values, positionals } = parsed(given);
  if (values.help === true) {
    out.write(TUNE_HELP);
    return 0;
  }
  const file = values.out;
  if (file === undefined) throw new UsageError('--out is missing: the file to keep the tuning in');
  const layer = layerOf(positionals, values.dims ?? '');
  const rows = (values.rows ?? '1,16,128,1024').split(',').map((text) => {
    const n = Number(text);
    if (!Number.isInteger(n) || n < 1) throw new UsageError(`--rows has "${text}"; give whole numbers from 1`);
    return n;
  });
  const mode = values.mode ?? 'plain';
  if (mode !== 'plain' && mode !== 'wide') throw new UsageError(`--mode is "${mode}"; it is plain or wide`);
  const seconds = Number(values.seconds ?? 6);
  if (!(seconds > 0)) throw new UsageError(`--seconds is "${values.seconds}"; give a number above 0`);
  const machine = { ...machineKey(), date: new Date().toISOString().slice(0, 10) };
  const before = earlier(file, mode, machine);
  mustBeWritable(file);
  const keep = (found: TuningFile): void => write(file, joined(found, earlier(file, mode, machine)));
  const stop = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
    error.write(`${cleared(error)}stopping; what was found is kept. Once more ends at once\n`);
  };
  process.on('SIGINT', interrupt);
  const tuning = await tuneLayer({
    layer,
    rows: [...new Set(rows)].sort((a, b) => a - b),
    wide: mode === 'wide',
    seconds,
    machine,
    before,
    stop: stop.signal,
    progress: (text) => error.write(`${cleared(error)}${text}\n`),
    status: (text) => {
      if (error.isTTY === true) error.write(`${cleared(error)}  ${text}`);
    },
    keep,
  }).finally(() => process.off('SIGINT', interrupt));
  error.write(cleared(error));
  if (stop.signal.aborted && tuning.choices.length === 0) {
    out.write(`stopped before anything was found; ${file} is as it was\n`);
    return 130;
  }
  keep(tuning);
  for (const choice of tuning.choices) out.write(`${choiceText(choice)}\n`);
  const kept = Object.keys(tuning.shapes).length;
  if (kept === 0) out.write('nothing is faster than what the compiler chooses by itself, by more than noise\n');
  out.write(`written: ${file}${stop.signal.aborted ? ' (stopped; the same command goes on)' : ''}\n`);
  return stop.signal.aborted ? 130 : 0;
}

/** What wipes a status line off a terminal. */
const cleared = ({ isTTY }: Surroundings['error']): string => (isTTY === true ? '\r\u001b[K' : '');

/** "contract [* 3072] sum 768, 128 rows: 1.21x (1.18x … 1.24x), the best of 42; {…}". */
function choiceText({ shape, rows, form, gain, tried }: Choice): string {
  const x = (value: number): string => `${value.toFixed(2)}x`;
  const found = `${x(gain.median)} (${x(gain.low)} … ${x(gain.high)}), the best of ${tried}`;
  return `${shape}, ${rows} rows: ${found}; ${form === null ? "kept the compiler's own" : JSON.stringify(form)}`;
}

function parsed(given: readonly string[]) {
  try {
    return parseArgs({ args: withoutDashes(given), options: OPTIONS, strict: true, allowPositionals: true });
  } catch (problem) {
    throw optionMistake(problem, Object.keys(OPTIONS));
  }
}

function layerOf(positionals: readonly string[], list: string): LayerIR {
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) throw new UsageError('name one layer of the standard library, such as ff');
  const dims = Object.fromEntries(
    list
      .split(',')
      .filter(Boolean)
      .map((part) => {
        const [key = '', value = ''] = part.split('=');
        if (!/^\d+$/.test(value)) throw new UsageError(`--dims has "${part}"; write D=768,H=3072`);
        return [key, Number(value)];
      }),
  );
  try {
    return standardLayer(name, { dims });
  } catch (problem) {
    if (!(problem instanceof DiagnosticError || problem instanceof RangeError)) throw problem;
    throw new UsageError(problem.message.split('\n')[0] ?? '');
  }
}

/** What an earlier run left, if it is of the same machine and mode. */
function earlier(file: string, mode: 'plain' | 'wide', machine: TuningFile['machine']): TuningFile | null {
  if (!existsSync(file)) return null;
  const found = readJson(file);
  if (!isTuningFile(found)) throw new UsageError(`${file} is there and holds no tuning; name another file`);
  const isSame =
    found.target === wasm.name &&
    found.capabilities['simd-256'] === (mode === 'wide') &&
    sameMachine(found.machine, machine);
  if (!isSame)
    throw new UsageError(
      `${file} is of another machine, engine or mode (${keyText(found.machine)}${found.capabilities['simd-256'] === true ? ', wide' : ''}); name another file`,
    );
  return found;
}

const write = (file: string, tuning: TuningFile): void => writeWhole(file, `${JSON.stringify(tuning, null, 1)}\n`);
