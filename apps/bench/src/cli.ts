/** The bench as a command. */
import { type Arguments, HELP, readArguments, UsageError } from './arguments.ts';
import { runBench } from './bench.ts';
import { mustBeWritable, readJson, writeFile } from './files.ts';
import { keyText, machineKey, sameMachine } from './machine.ts';
import { paperText } from './paper.ts';
import { filtered, type Group, groupName, groupsOf } from './plan.ts';
import { EXTRAS, record } from './record.ts';
import { pageOf } from './report/html.ts';
import { markdownOf } from './report/markdown.ts';
import { groupText, headText, tailText, targetsText } from './report/text.ts';
import { isResults, type Results, resultsText } from './results.ts';
import { shippedTuning } from './tune/shipped.ts';
import { isTuningFile, type TuningFile } from './tune/tune.ts';

interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface Surroundings {
  readonly out: Stream;
  readonly error: Stream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Runs the command and gives its exit code. */
export async function benchCommand(
  given: readonly string[],
  { out, error, environment }: Surroundings,
): Promise<0 | 1 | 2 | 130> {
  try {
    return await run(given, { out, error, environment });
  } catch (mistake) {
    if (!(mistake instanceof UsageError)) throw mistake;
    error.write(`bench: ${mistake.message}\n(--help says how it is used)\n`);
    return 2;
  }
}

async function run(given: readonly string[], { out, error, environment }: Surroundings): Promise<0 | 1 | 130> {
  const asked = readArguments(given, environment, out.isTTY === true);
  if (asked.help) {
    out.write(HELP);
    return 0;
  }
  if (asked.from !== null) {
    const results = readResults(asked.from);
    for (const { file } of filesOf(asked)) mustBeWritable(file);
    for (const result of results.results) out.write(`\n${groupText(result, asked)}\n`);
    return finish(results, asked, out);
  }
  const groups = chosenGroups(asked);
  if (asked.list) {
    out.write(`${groups.map(groupName).join('\n')}\n`);
    return 0;
  }
  for (const { file } of filesOf(asked)) mustBeWritable(file);
  const stop = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
    error.write('\nstopping after this round of turns; once more ends at once\n');
  };
  process.on('SIGINT', interrupt);
  const status = (text: string): void => {
    if (error.isTTY === true) error.write(`\r\u001b[K${text.slice(0, 118)}`);
  };
  const { seconds, seed } = asked;
  const command = `espalier bench ${given.map((a) => (/[\s"]/.test(a) ? JSON.stringify(a) : a)).join(' ')}`.trim();
  try {
    if (asked.record !== null) {
      const results = await record({
        ...{ file: asked.record, groups, seconds, fresh: asked.fresh, through: asked.through },
        // What makes all of it, however it was started this time.
        command: `espalier bench --record ${asked.record}`,
        extras: asked.filter === '' && asked.only === null,
        stop: stop.signal,
        say: (text) => out.write(`${text}\n`),
      });
      if (results !== null) return finish(results, asked, out, stop.signal.aborted);
      out.write(`stopped before anything was measured; ${asked.record} was not written\n`);
      return 130;
    }
    const results = await runBench({
      groups,
      seed,
      baselines: asked.baselines,
      command,
      extras: asked.tuning === null && (asked.only === null || asked.only === EXTRAS),
      ...(asked.tuning === null
        ? {}
        : {
            tuning: readTuning(
              asked.tuning,
              groups.every((g) => g.mode === 'wide'),
            ),
          }),
      pace: {
        seconds,
        turn: Math.min(20, 5 * seconds),
        warmUp: Math.max(0.2, Math.min(6, 1.5 * seconds)),
        stop: stop.signal,
      },
      progress: status,
      done: (result) => {
        status('');
        out.write(`\n${groupText(result, asked)}\n`);
      },
    });
    status('');
    return finish(results, asked, out, stop.signal.aborted);
  } finally {
    process.off('SIGINT', interrupt);
  }
}

/** The tables that sum up, the files that were asked for, and the exit code. */
function finish(results: Results, asked: Arguments, out: Stream, isStopped = false): 0 | 1 | 130 {
  out.write(`\n${tailText(results)}\n`);
  const isAll = asked.from !== null || asked.record !== null;
  if (isAll || asked.groups === 'targets') out.write(`\n${targetsText(results, asked)}\n`);
  if (isAll || asked.groups === 'paper') out.write(`\n${paperText(results)}\n`);
  out.write(`\n${headText(results)}\n`);
  for (const { file, text } of filesOf(asked)) {
    writeFile(file, text(results));
    out.write(`written: ${file}\n`);
  }
  if (isStopped) return 130;
  return results.results.some((r) => r.rejected.length > 0) ? 1 : 0;
}

/** The files that were asked for, and what goes into them. */
const filesOf = ({ json, html, markdown }: Arguments) =>
  [
    { file: json, text: resultsText },
    { file: html, text: pageOf },
    { file: markdown, text: markdownOf },
  ].flatMap(({ file, text }) => (file === null ? [] : [{ file, text }]));

/** Throws UsageError where there is none. */
function chosenGroups(asked: Arguments): readonly Group[] {
  const all = groupsOf(asked.groups, asked);
  if (asked.only === EXTRAS) return [];
  if (asked.only !== null) {
    // Whatever set it is from: a name says everything.
    const found = [...all, ...groupsOf('record', asked)].find((g) => groupName(g) === asked.only);
    if (found === undefined) throw new UsageError(`--only has "${asked.only}"; ${namesOf(all)}\n  ${EXTRAS}`);
    return [found];
  }
  const groups = filtered(all, asked.filter);
  if (groups.length === 0) throw new UsageError(`no group has all of the words "${asked.filter}"; ${namesOf(all)}`);
  return groups;
}

const namesOf = (groups: readonly Group[]): string => `there are\n${groups.map((g) => `  ${groupName(g)}`).join('\n')}`;

/** A tuning of this machine, from a file or shipped for it. Throws UsageError for one of another, whose forms may be slow here. */
function readTuning(file: string, isWide: boolean): TuningFile {
  const here = machineKey();
  if (file === 'shipped') {
    const shipped = shippedTuning(here, isWide);
    if (shipped !== null) return shipped;
    throw new UsageError(`no ${isWide ? '256' : '128'}-bit tuning is shipped for ${keyText(here)}`);
  }
  const tuning = readJson(file);
  if (!isTuningFile(tuning))
    throw new UsageError(`${file} holds no tuning; \`espalier tune LAYER --dims … --out FILE\` writes one`);
  if (!sameMachine(tuning.machine, here))
    throw new UsageError(`${file} is a tuning for ${keyText(tuning.machine)}; this is ${keyText(here)}`);
  return tuning;
}

/** Results that an earlier run wrote. Throws UsageError where the file has none. */
function readResults(file: string): Results {
  const results = readJson(file);
  if (!isResults(results))
    throw new UsageError(`${file} holds no results of version 2; --json FILE and --record FILE write them`);
  return results;
}
