/** Replay from arguments to exit code. Repository, streams and colours are given, so that tests can watch. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Arguments, helpText, readArguments } from './arguments.ts';
import { compare } from './compare.ts';
import { differencesOf } from './diffs.ts';
import { ReplayError } from './errors.ts';
import { corpusOf, renderCorpus, union } from './render.ts';
import { reportHtml } from './report-html.ts';
import { type Report, reportText, verdict } from './report-text.ts';
import { commitOf, defaultBase, type Sources, sourcesOf } from './sources.ts';
import { summaryOf } from './summary.ts';

export interface Surroundings {
  readonly out: { write(text: string): unknown };
  readonly error: { readonly isTTY?: boolean; write(text: string): unknown };
  readonly coloured: boolean;
  /** The root of the repository whose commits are compared. */
  readonly repository: string;
  /** The root of the checkout whose installed packages are used. */
  readonly installed: string;
  readonly cwd: string;
}

/** 0, or with --check 1 for differences; 2 for mistakes. Rejects for bugs of replay itself. */
export async function replay(given: readonly string[], around: Surroundings): Promise<0 | 1 | 2> {
  const scratch = mkdtempSync(join(tmpdir(), 'espalier-replay-'));
  try {
    const args = readArguments(given);
    if (args.help) {
      around.out.write(helpText);
      return 0;
    }
    const report = await reportOf(args, scratch, around);
    around.out.write(reportText(report, around.coloured, args.limit));
    if (args.html !== null) {
      writePage(resolve(around.cwd, args.html), report);
      around.out.write(`Page: ${args.html}\n`);
    }
    const { changed, removed } = report.comparison;
    return args.check && changed.length + removed.length > 0 ? 1 : 0;
  } catch (problem) {
    if (!(problem instanceof ReplayError)) throw problem;
    around.error.write(`${problem.message}\n${problem.hint}\n`);
    return 2;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function reportOf(args: Arguments, scratch: string, around: Surroundings): Promise<Report> {
  const { repository, installed } = around;
  const commit = args.base === null ? defaultBase(repository) : commitOf(repository, args.base);
  const base = sourcesOf(repository, commit, join(scratch, 'base'), installed);
  const head: Sources =
    args.head === null
      ? { title: 'the working tree', folder: repository }
      : sourcesOf(repository, commitOf(repository, args.head), join(scratch, 'head'), installed);
  const cases = union(...(await both([base, head], (sources) => corpusOf(sources, args.only))));
  if (cases.length === 0)
    throw new ReplayError(
      `neither side knows a layer ${args.only}`,
      'Name a standard layer or an odd one of the suite.',
    );
  const done = [0, 0];
  const [before, after] = await both([base, head], (sources, side) =>
    renderCorpus(sources, cases, (count) => {
      done[side] = count;
      if (around.error.isTTY === true && count % 20 === 0)
        around.error.write(`\r\u001b[K${done.join(' and ')} rendered`);
    }),
  );
  if (around.error.isTTY === true) around.error.write('\r\u001b[K');
  const comparison = compare(before, after);
  const differences = differencesOf(comparison.changed, join(scratch, 'texts'));
  return { base: base.title, head: head.title, comparison, differences, rows: summaryOf(comparison, differences) };
}

/** Both sides at once. */
const both = async <Result>(
  sides: readonly [Sources, Sources],
  work: (sources: Sources, side: 0 | 1) => Promise<Result>,
): Promise<[Result, Result]> => Promise.all([work(sides[0], 0), work(sides[1], 1)]);

function writePage(path: string, report: Report): void {
  try {
    writeFileSync(path, reportHtml(report));
  } catch (cause) {
    throw new ReplayError(`${path} cannot be written (${verdict(report)})`, String(cause), { cause });
  }
}
