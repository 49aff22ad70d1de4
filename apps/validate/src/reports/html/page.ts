/** The report as one HTML page that needs nothing else: no script, no font, no picture from anywhere. */
import type { CaseReport, CheckpointReport, Report, RunReport, Said } from '../data.ts';
import { counted, scientific } from '../format.ts';
import { comparableTokens, finalAgreement, routeSummary } from '../rows.ts';
import { matrixSection } from './matrix.ts';
import { errorPlot } from './plots/errors.ts';
import { marginPlot } from './plots/margins.ts';
import { treePlots } from './plots/trees.ts';
import { css } from './style.ts';
import { caseTable, fullTables, timingTable } from './tables.ts';
import { escapeHtml } from './text.ts';

/** The page. */
export function reportHtml(report: Report): string {
  const { totals } = report;
  const verdict = report.agrees
    ? '<p class="verdict good">All agree</p>'
    : `<p class="verdict bad">${counted(totals.failedChecks, 'comparison')} of ${totals.checks} differ${totals.errors > 0 ? `, ${counted(totals.errors, 'run')} failed` : ''}</p>`;
  const links = report.checkpoints
    .map((checkpoint, i) => `<a href="#c${i}">${escapeHtml(checkpoint.name)}</a>`)
    .join('');
  const across = report.matrix.targets.length > 1 ? '<a href="#matrix">targets against each other</a>' : '';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Espalier validation: ${report.agrees ? 'all agree' : 'differences'}</title><style>${css}</style></head><body>
<header><h1>Espalier validation</h1>${verdict}
<p>${counted(totals.cases, 'case')}, ${counted(totals.checks, 'comparison')}, ${counted(totals.walks, 'walk')} through trees, ${counted(totals.flipsWithin, 'flip')} within the rounding bound${totals.skipped > 0 ? `, ${counted(totals.skipped, 'run')} skipped` : ''}; ${report.seconds.toFixed(1)} s, ${escapeHtml(report.started.replace('T', ' ').slice(0, 19))} UTC</p>
<nav>${links}${across}</nav></header>
${report.checkpoints.map(checkpointSection).join('\n')}
${matrixSection(report.matrix)}
${surroundings(report)}
</body></html>
`;
}

function checkpointSection(checkpoint: CheckpointReport, index: number): string {
  const agrees = checkpoint.cases.every((one) => one.agrees);
  return `<section id="c${index}"><h2>${mark(agrees)} ${escapeHtml(checkpoint.name)}</h2>
<p class="soft">${escapeHtml(checkpoint.description)}; ${escapeHtml(checkpoint.source)}</p>
${checkpoint.timing === null ? '' : timingTable(checkpoint.timing)}
${checkpoint.timingError === null ? '' : `<p class="bad">No timing: ${escapeHtml(checkpoint.timingError)}</p>`}
${checkpoint.cases.map(caseArticle).join('\n')}</section>`;
}

const mark = (good: boolean): string => (good ? '<span class="good">✓</span>' : '<span class="bad">✗</span>');

function caseArticle(one: CaseReport): string {
  const routes = routeSummary(one);
  const finals = finalAgreement(one);
  const tokens = comparableTokens(one);
  const facts: string[] = one.references.map(
    (reference) =>
      `<dt>${escapeHtml(reference.name)}</dt><dd>${reference.available ? '' : 'not available: '}${escapeHtml(reference.note)}</dd>`,
  );
  for (const run of one.runs)
    if (run.skipped !== null)
      facts.push(`<dt>${escapeHtml(run.name)}</dt><dd>skipped: ${escapeHtml(run.skipped)}</dd>`);
  if (routes !== null) {
    const closest = Number.isFinite(routes.closest)
      ? `; closest decision ${scientific(routes.closest)} from zero, where rounding reaches ${scientific(routes.bound)}`
      : '';
    const flips = `${counted(routes.within, 'flip')} within the bound, ${routes.beyond} beyond`;
    facts.push(
      `<dt>routes</dt><dd>${counted(routes.walks, 'walk')} of up to ${routes.levels} levels, ${flips}${closest}</dd>`,
    );
  }
  if (finals !== null) facts.push(`<dt>finals</dt><dd>${escapeHtml(finals)}</dd>`);
  if (tokens !== null)
    facts.push(`<dt>comparable to the end</dt><dd>${tokens.comparable} of ${tokens.tokens} tokens</dd>`);
  return `<article><h3>${mark(one.agrees)} ${escapeHtml(one.id)}</h3><p class="soft">${escapeHtml(one.title)}</p>
${one.runs.map(problem).join('')}
<dl>${facts.join('')}</dl>
${errorPlot(one)}
${treePlots(one.trees)}
${marginPlot(one.trees)}
${one.said === null ? '' : saidBlock(one.said)}
<details${one.agrees ? '' : ' open'}><summary>Table</summary>${caseTable(one)}</details>
${fullTables(one)}</article>`;
}

function problem(run: RunReport): string {
  if (run.error !== null)
    return `<div class="problem"><strong class="bad">${escapeHtml(run.name)} gave no results</strong><pre>${escapeHtml(run.error)}</pre></div>`;
  const { first } = run;
  if (first === null) return '';
  const shrunk = first.shrunk === null ? '' : `<p>Smallest: ${escapeHtml(first.shrunk.message)}</p>`;
  const again = first.shrunk?.file == null ? '' : `<pre>pnpm validate --repro ${escapeHtml(first.shrunk.file)}</pre>`;
  return `<div class="problem"><strong class="bad">${escapeHtml(run.name)} departs first at ${escapeHtml(first.check.name)}</strong>, node <code>${escapeHtml(first.node)}</code>, layer <code>${escapeHtml(first.layer)}</code>
<p>${escapeHtml(first.message)}</p><pre>${escapeHtml(first.text.trimEnd())}</pre>${shrunk}${again}</div>`;
}

function saidBlock(said: Said): string {
  const lines = said.lines.map((line) => {
    const answers = line.answers.map((answer) => {
      const words = answer.map(({ word, value }) =>
        said.kind === 'sentence-embedding'
          ? `<span>${value.toFixed(3)} <small>${escapeHtml(word)}</small></span>`
          : `<span><strong>${escapeHtml(word)}</strong> <small>${(value * 100).toFixed(1)} %</small></span>`,
      );
      return `<div>${words.join('')}</div>`;
    });
    return `<p>${escapeHtml(line.text)}</p>${answers.join('')}`;
  });
  return `<div class="says"><figcaption>What it says, computed by ${escapeHtml(said.target)}</figcaption>${lines.join('')}</div>`;
}

function surroundings(report: Report): string {
  const { engine } = report;
  const entries: (readonly [string, string])[] = [
    ['command', `pnpm validate ${report.command.join(' ')}`.trim()],
    ['compiler', engine.generator],
    ['engine', `Node ${engine.node}, V8 ${engine.v8}, ${engine.platform}`],
    ['processor', `${engine.cpu}, ${counted(engine.cores, 'core')}`],
    ...report.targets.map(({ spec, name, capabilities }) => {
      const seen = Object.entries(capabilities).map(([key, value]) => `${key} ${value}`);
      return [spec, `${name} (${seen.join(', ')})`] as const;
    }),
    ...report.unavailable.map(({ spec, reason }) => [spec, `not available: ${reason}`] as const),
    ['onnxruntime', report.onnxruntime.available ? report.onnxruntime.version : report.onnxruntime.reason],
  ];
  const list = entries.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`);
  return `<section><h2>Machine and command</h2><dl>${list.join('')}</dl></section>`;
}
