/**
 * A whole set of results, group by group: each in a process of its own, since the engine's 256-bit flag and the threads of some peers
 * are settled once a process, and since a machine that is shared is better asked for a minute often than for a quarter of an hour once.
 * What is done is kept in the file at once, so that a run that was stopped goes on where it was.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from './arguments.ts';
import type { Reading } from './baselines/native/ceilings.ts';
import { mustBeWritable, readJson, writeWhole } from './files.ts';
import { processor } from './machine.ts';
import { type Group, groupName } from './plan.ts';
import { pageOf } from './report/html.ts';
import { markdownOf } from './report/markdown.ts';
import { isResults, type Machine, type Results, resultsText } from './results.ts';

/** The name of what is no group: call overhead, memory, bundle. */
export const EXTRAS = 'extras';

export interface RecordOptions {
  /** JSON; a page and tables are put beside it. */
  readonly file: string;
  readonly groups: readonly Group[];
  readonly extras: boolean;
  readonly seconds: number;
  /** Measures again what the file has. */
  readonly fresh: boolean;
  /** A command line that each process is started through. */
  readonly through: string | null;
  readonly command: string;
  readonly stop?: AbortSignal;
  readonly say: (text: string) => void;
}

/** Measures what the file lacks; null where it was stopped before there was anything. Throws UsageError where the file is of another machine or no results at all. */
export async function record(options: RecordOptions): Promise<Results | null> {
  const { file, groups, fresh, say, stop } = options;
  let results = earlier(file);
  for (const path of [file, `${stemOf(file)}.html`, `${stemOf(file)}.md`]) mustBeWritable(path);
  const { cpu, family } = processor();
  if (results !== null && (results.machine.cpu !== cpu || results.machine.family !== family))
    throw new UsageError(
      `${file} is of ${results.machine.cpu}, ${results.machine.family}, and this is ${cpu}, ${family}: their results don't mix; name another file`,
    );
  const has = (name: string): boolean =>
    name === EXTRAS ? results?.call !== undefined : results?.results.some((r) => r.group === name) === true;
  const names = [...groups.map(groupName), ...(options.extras ? [EXTRAS] : [])];
  const open = names.filter((name) => fresh || !has(name));
  say(`${file}: ${names.length - open.length} of ${names.length} there, ${open.length} to measure`);
  for (const [i, name] of open.entries()) {
    if (stop?.aborted === true) break;
    const start = performance.now();
    const part = await measureAlone(name, options);
    if (part === null) {
      say(`  ${name}: ended early, not kept`);
      continue;
    }
    results = merged(results, part, options);
    write(file, results);
    say(`  ${i + 1}/${open.length} ${name}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
  }
  if (results === null && stop?.aborted !== true)
    throw new UsageError(`nothing was measured, so ${file} was not written`);
  return results;
}

/** One group in a process of its own; null if it was stopped or failed. */
async function measureAlone(name: string, { seconds, through, say, stop }: RecordOptions): Promise<Results | null> {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-record-'));
  const file = join(folder, 'part.json');
  // The command beside this module: compiled, or from sources.
  const main = fileURLToPath(new URL(`./main${extname(import.meta.filename)}`, import.meta.url));
  const bench = [process.execPath, ...process.execArgv, main];
  const options = ['--only', name, '--seconds', String(seconds), '--json', file, '--no-color'];
  const [command = '', ...rest] = [...(through?.split(/\s+/).filter(Boolean) ?? []), ...bench, ...options];
  try {
    const child = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.on('data', (text) => {
      said += text;
    });
    const interrupt = (): boolean => child.kill('SIGINT');
    stop?.addEventListener('abort', interrupt, { once: true });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', (problem) =>
        reject(new UsageError(`${command} can't be started (${problem.message}); --through takes a command line`)),
      );
      child.once('close', resolve);
    });
    stop?.removeEventListener('abort', interrupt);
    if (!existsSync(file)) {
      // From a terminal Ctrl-C reaches the process, too, which then ends at once.
      if (stop?.aborted !== true)
        say(`  ${name}: exit code ${code}${said === '' ? '' : `\n${said.trim().split('\n').slice(-5).join('\n')}`}`);
      return null;
    }
    const part = JSON.parse(readFileSync(file, 'utf8')) as Results;
    return part.stopped ? null : part;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A part put into what there is, in place of an older one of the same group. Ceilings: the best seen, since they are what is possible. */
export function merged(before: Results | null, part: Results, { command }: Pick<RecordOptions, 'command'>): Results {
  if (before === null) return { ...part, command, ...revision() };
  const { call, memory, bundle, missing } = part;
  const newer = new Map(part.results.map((r) => [r.group, r]));
  const known = new Set(before.results.map((r) => r.group));
  const isNew = ({ mode, layers, sequence }: Results['amdahl'][number]): boolean =>
    part.amdahl.some((a) => a.mode === mode && a.layers === layers && a.sequence === sequence);
  return {
    ...before,
    command,
    ...revision(),
    machine: { ...part.machine, ...bestCeilings(before.machine, part.machine) },
    results: [
      ...before.results.map((r) => newer.get(r.group) ?? r),
      ...part.results.filter((r) => !known.has(r.group)),
    ],
    amdahl: [...before.amdahl.filter((a) => !isNew(a)), ...part.amdahl],
    ...(call === undefined ? {} : { call }),
    ...(memory === undefined ? {} : { memory }),
    ...(bundle === undefined ? {} : { bundle }),
    ...(missing === undefined ? {} : { missing }),
  };
}

function bestCeilings(a: Machine, b: Machine): Pick<Machine, 'ceilings'> {
  const [x, y] = [a.ceilings, b.ceilings];
  if (x === undefined || y === undefined) return {};
  const best = (one: Reading, other: Reading): Reading => ({
    inOrder: Math.max(one.inOrder, other.inOrder),
    randomRows: Math.max(one.randomRows, other.randomRows),
  });
  return {
    ceilings: {
      ...(x.fma512 === undefined || y.fma512 === undefined ? {} : { fma512: Math.max(x.fma512, y.fma512) }),
      fma256: Math.max(x.fma256, y.fma256),
      fma128: Math.max(x.fma128, y.fma128),
      read24: best(x.read24, y.read24),
      read128: best(x.read128, y.read128),
    },
  };
}

/** The last commit that changed what is measured, the packages, where this is a checkout; "and changes" where they were changed since. */
function revision(): Pick<Results, 'revision'> {
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const git = (...given: readonly string[]): string =>
    execFileSync('git', given, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const commit = git('log', '-1', '--format=%h', '--', 'packages');
    return commit === ''
      ? {}
      : { revision: `${commit}${git('status', '--porcelain', 'packages') === '' ? '' : ' and changes'}` };
  } catch {
    return {};
  }
}

function earlier(file: string): Results | null {
  if (!existsSync(file)) return null;
  const found = readJson(file);
  if (!isResults(found)) throw new UsageError(`${file} holds no results of version 2; name another file`);
  return found;
}

const stemOf = (file: string): string => file.replace(/\.json$/, '');

/** JSON, page and tables, each whole or not at all. */
function write(file: string, results: Results): void {
  const stem = stemOf(file);
  for (const [path, text] of [
    [file, resultsText(results)],
    [`${stem}.html`, pageOf(results)],
    [`${stem}.md`, markdownOf(results)],
  ] as const)
    writeWhole(path, text);
}
