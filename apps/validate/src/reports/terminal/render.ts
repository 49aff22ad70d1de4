/** The report in the terminal: a table for each checkpoint's first case, a line for the others, and what went wrong in full. */
import type { CaseReport, CheckpointReport, Report, RunReport } from '../data.ts';
import { counted, duration, scientific } from '../format.ts';
import { comparableTokens, finalAgreement, routeSummary, tightest } from '../rows.ts';
import { matrixLines } from './matrix.ts';
import { type Cell, type Style, table, wrap } from './style.ts';
import { caseTable, fullTables } from './tables.ts';

export interface TerminalOptions {
  readonly style: Style;
  /** Every comparison of every run in full. */
  readonly verbose: boolean;
  /** Show what the models say about texts. */
  readonly says: boolean;
}

const WIDTH = 100;

/** The whole report, ending in a line break. */
export function renderReport(report: Report, options: TerminalOptions): string {
  const { style } = options;
  const lines = [
    `${style.bold('Espalier validate')}  ${report.targets.map((target) => target.spec).join(', ')}`,
    report.onnxruntime.available
      ? style.dim(
          `references: the original's golden data, the float64 interpreter, onnxruntime ${report.onnxruntime.version}`,
        )
      : style.warn(`onnxruntime is not used: ${report.onnxruntime.reason}`),
    ...report.unavailable.flatMap(({ spec, reason }) =>
      wrap(`${spec}: not available: ${reason}`, WIDTH, '').map(style.dim),
    ),
    ...report.checkpoints.flatMap((checkpoint) => ['', ...checkpointLines(checkpoint, options)]),
    ...matrixLines(report.matrix, style),
    '',
    ...summaryLines(report, style),
  ];
  return `${lines.join('\n')}\n`;
}

function checkpointLines(checkpoint: CheckpointReport, options: TerminalOptions): readonly string[] {
  const { style } = options;
  const lines = [
    `${mark(
      checkpoint.cases.every((one) => one.agrees),
      style,
    )} ${style.bold(checkpoint.name)}  ${style.dim(checkpoint.description)}`,
  ];
  const collection = checkpoint.cases.length > 1 && checkpoint.cases.every((one) => one.id.includes('/'));
  if (collection && !options.verbose) {
    const cases = checkpoint.cases.map((one) => ({ one, prefix: `${one.id.slice(one.id.indexOf('/') + 1)}.` }));
    lines.push(...caseTable(cases, style));
    lines.push(...checkpoint.cases.flatMap((one) => [...skippedLines(one, style), ...problemLines(one, style)]));
    return lines;
  }
  checkpoint.cases.forEach((one, i) => {
    lines.push(...caseLines(one, i === 0, options));
  });
  if (checkpoint.timing !== null) lines.push(...timingLines(checkpoint, style));
  if (checkpoint.timingError !== null)
    lines.push(...wrap(`no timing: ${checkpoint.timingError}`, WIDTH, '  ').map(style.warn));
  return lines;
}

const mark = (good: boolean, style: Style): string => (good ? style.good('✓') : style.bad('✗'));

function caseLines(one: CaseReport, first: boolean, options: TerminalOptions): readonly string[] {
  const { style } = options;
  const detailed = first || !one.agrees;
  const worst = tightest(one);
  const closest =
    worst === null
      ? ''
      : `${(Math.min(worst.ratio, 1) * 100).toFixed(0)} % of what is allowed at worst (${worst.run}, ${worst.check.name})`;
  const head = `  ${mark(one.agrees, style)} ${style.accent(one.id)}  ${one.title}`;
  const lines = detailed ? [head] : [head, `      ${style.dim(`agrees: ${closest}`)}`];
  if (options.verbose) lines.push(...fullTables(one, style));
  else if (detailed) lines.push(...caseTable([{ one, prefix: '' }], style));
  if (detailed) lines.push(...factLines(one, style));
  for (const reference of one.references)
    if (!reference.available && detailed) lines.push(`    ${style.dim(`no ${reference.name}: ${reference.note}`)}`);
  lines.push(...skippedLines(one, style), ...problemLines(one, style));
  if (options.says) lines.push(...saidLines(one, style));
  return lines;
}

function factLines(one: CaseReport, style: Style): readonly string[] {
  const facts: string[] = [];
  const routes = routeSummary(one);
  if (routes !== null) {
    const closest = Number.isFinite(routes.closest)
      ? `; closest decision ${scientific(routes.closest)} from zero, where rounding reaches ${scientific(routes.bound)}`
      : '';
    const flips = `${counted(routes.within, 'flip')} within the bound${routes.beyond > 0 ? `, ${routes.beyond} beyond` : ''}`;
    facts.push(`routes: ${counted(routes.walks, 'walk')} of ${routes.levels} levels, ${flips}${closest}`);
  }
  const finals = finalAgreement(one);
  if (finals !== null) facts.push(`finals: ${finals}`);
  const tokens = comparableTokens(one);
  if (tokens !== null) facts.push(`comparable to the end: ${tokens.comparable} of ${tokens.tokens} tokens`);
  return facts.flatMap((fact) => wrap(fact, WIDTH, '    ')).map(style.dim);
}

const skippedLines = (one: CaseReport, style: Style): readonly string[] =>
  one.runs.flatMap((run) =>
    run.skipped === null ? [] : wrap(`skipped: ${one.id} is ${run.skipped}`, WIDTH, '    ').map(style.dim),
  );

function problemLines(one: CaseReport, style: Style): readonly string[] {
  return one.runs.flatMap((run) => {
    if (run.error !== null)
      return [`    ${style.bad(`✗ ${run.name} gave no results`)}`, ...wrap(run.error, WIDTH, '      ')];
    return run.first === null ? [] : differenceLines(run, run.first, style);
  });
}

function differenceLines(run: RunReport, first: NonNullable<RunReport['first']>, style: Style): readonly string[] {
  const lines = [
    `    ${style.bad(`✗ ${run.name} departs first at ${first.check.name}`)}, node ${first.node}, layer ${first.layer}`,
    ...wrap(first.message, WIDTH, '      '),
    ...first.text
      .trimEnd()
      .split('\n')
      .filter((line) => !line.startsWith('//'))
      .map((line) => style.dim(`      │ ${line}`)),
  ];
  if (first.shrunk !== null) {
    lines.push(...wrap(`smallest: ${first.shrunk.message}`, WIDTH, '      '));
    if (first.shrunk.file !== null)
      lines.push(`      run it again: ${style.bold(`pnpm validate --repro ${first.shrunk.file}`)}`);
  }
  return lines;
}

function saidLines(one: CaseReport, style: Style): readonly string[] {
  const { said } = one;
  if (said === null) return [];
  const lines = [style.dim(`    what it says, computed by ${said.target}:`)];
  for (const line of said.lines) {
    lines.push(...wrap(line.text, WIDTH, '      '));
    for (const answer of line.answers) {
      const words = answer.map(({ word, value }) =>
        said.kind === 'sentence-embedding'
          ? `${value.toFixed(3)} ${style.dim(word)}`
          : `${style.bold(word)} ${(value * 100).toFixed(1)} %`,
      );
      if (said.kind === 'sentence-embedding') lines.push(...words.map((word) => `        ${word}`));
      else lines.push(`        ${words.join('   ')}`);
    }
  }
  return lines;
}

function timingLines(checkpoint: CheckpointReport, style: Style): readonly string[] {
  const { timing } = checkpoint;
  if (timing === null) return [];
  const head = ['', 'compile', 'load', 'first run', 'warm run', 'cold ÷ onnxrt', 'warm ÷ onnxrt', ''];
  const rows: Cell[][] = [head.map((text) => ({ text, paint: style.dim }))];
  for (const target of timing.targets) {
    const peer = timing.onnxruntime.find((candidate) => candidate.threads === target.threads);
    const shared = target.compiledBy !== target.spec;
    const ratio = (ours: number, theirs: number): string => `${(ours / theirs).toFixed(2)}×`;
    rows.push([
      { text: target.spec },
      { text: shared ? 'shared' : duration(target.compile), ...(shared ? { paint: style.dim } : {}) },
      { text: duration(target.load) },
      { text: duration(target.first) },
      { text: duration(target.warm), paint: style.bold },
      { text: peer === undefined ? '–' : ratio(target.compile + target.load + target.first, peer.load + peer.first) },
      { text: peer === undefined ? '–' : ratio(target.warm, peer.warm) },
      { text: '' },
    ]);
  }
  for (const peer of timing.onnxruntime)
    rows.push([
      { text: `onnxruntime, ${counted(peer.threads, 'thread')}` },
      { text: '–', paint: style.dim },
      { text: duration(peer.load) },
      { text: duration(peer.first) },
      { text: duration(peer.warm), paint: style.bold },
      { text: '' },
      { text: '' },
      { text: '' },
    ]);
  return [
    style.dim(
      `  time for ${timing.tokens} tokens: an informal figure. Cold is compile + load + first run; below 1 we are faster`,
    ),
    ...table(rows, '    '),
  ];
}

function summaryLines(report: Report, style: Style): readonly string[] {
  const { totals } = report;
  const rest = `${counted(totals.cases, 'case')}, ${counted(totals.walks, 'walk')} through trees, ${counted(totals.flipsWithin, 'flip')} within the rounding bound`;
  const time = `${report.seconds.toFixed(1)} s`;
  const skipped = totals.skipped > 0 ? `; ${counted(totals.skipped, 'run')} skipped` : '';
  if (report.agrees)
    return [
      `${style.good(style.bold('✓ All agree'))} (${time})`,
      ...wrap(`${counted(totals.checks, 'comparison')}; ${rest}${skipped}`, WIDTH, '  '),
    ];
  const errors = totals.errors > 0 ? `, ${counted(totals.errors, 'run')} failed` : '';
  const lines = [
    `${style.bad(style.bold('✗ Differences'))} (${time})`,
    ...wrap(
      `${totals.failedChecks} of ${counted(totals.checks, 'comparison')} depart${errors}; ${rest}${skipped}`,
      WIDTH,
      '  ',
    ),
  ];
  for (const checkpoint of report.checkpoints)
    for (const one of checkpoint.cases)
      for (const run of one.runs)
        if (!run.agrees)
          lines.push(
            ...wrap(
              `${checkpoint.name} · ${one.id} · ${run.name}: ${run.error ?? run.first?.message ?? ''}`,
              WIDTH,
              '  ',
            ),
          );
  return lines;
}
