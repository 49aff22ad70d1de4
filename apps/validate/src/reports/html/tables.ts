/** Tables of the page: the same rows as in the terminal, and every comparison in full behind a fold. */

import type { Check } from '../../compare/verdict.ts';
import type { CaseReport, TimingReport } from '../data.ts';
import { bytes, cosineLoss, duration, scientific } from '../format.ts';
import { allowedText, columnsOf, errorOf, rowsOf } from '../rows.ts';
import { escapeHtml } from './text.ts';

const head = (names: readonly string[]): string =>
  `<thead><tr>${names.map((name) => `<th>${escapeHtml(name)}</th>`).join('')}</tr></thead>`;

const cell = (text: string, differs = false): string =>
  `<td${differs ? ' class="differs"' : ''}>${escapeHtml(text)}</td>`;

const wrapTable = (header: readonly string[], rows: readonly string[]): string =>
  `<div class="scroll"><table>${head(header)}<tbody>${rows.map((row) => `<tr>${row}</tr>`).join('\n')}</tbody></table></div>`;

const routes = (check: Extract<Check, { kind: 'route' }>): string => {
  const within = check.differences.filter((difference) => difference.within).length;
  const beyond = check.differences.length - within;
  return beyond > 0 ? `${beyond} part` : within > 0 ? `${within} flips` : check.agrees ? 'equal' : 'scores differ';
};

/** The table of a case: a row a tensor, a column a target. */
export function caseTable(one: CaseReport): string {
  const columns = columnsOf(one);
  const targets = columns.filter((run) => run.kind === 'target').map((run) => run.name);
  const header = [
    'tensor',
    'against',
    'allowed',
    ...columns.map((run) => run.name),
    'relative RMS',
    '1 − cosine',
    'verdict',
  ];
  const rows = rowsOf(one).map((row) => {
    const value = row.kind === 'value';
    const departs = row.departs.map(({ run, reference }) => `${run} from ${reference}`).join(', ');
    return [
      cell(row.name),
      cell(row.against),
      cell(value ? `${allowedText(row, targets)}${row.from === 'measured' ? ' *' : ''}` : ''),
      ...columns.map((run) => {
        const check = row.checks.get(run.name);
        if (check === undefined) return cell(run.skipped === null ? '–' : 'skipped');
        return cell(check.kind === 'route' ? routes(check) : scientific(errorOf(check)), !check.agrees);
      }),
      cell(value ? scientific(row.relativeRms) : ''),
      cell(value ? cosineLoss(row.cosine) : ''),
      cell(row.departs.length === 0 ? 'agrees' : `differs: ${departs}`, row.departs.length > 0),
    ].join('');
  });
  const starred = rowsOf(one).some((row) => row.from === 'measured');
  const note = starred
    ? '<small>* measured: what float32 costs the interpreter on these inputs, as golden.json says nothing of this tensor.</small>'
    : '';
  return wrapTable(header, rows) + note;
}

/** All comparisons of a case, folded. */
export function fullTables(one: CaseReport): string {
  const header = ['tensor', 'max abs', 'allowed', 'relative RMS', 'cosine', 'rows compared', 'verdict'];
  const tables = one.runs.flatMap((run) =>
    run.comparisons.map(({ reference, checks }) => {
      const rows = checks.map((check) => {
        const value = check.kind === 'value';
        return [
          cell(check.name),
          cell(scientific(errorOf(check))),
          cell(scientific(value ? check.allowed : (check.worstScore?.allowed ?? 0))),
          cell(value ? scientific(check.relativeRms) : routes(check)),
          cell(value ? check.cosine.toFixed(12) : ''),
          cell(`${check.rows} of ${check.allRows}`),
          cell(check.agrees ? 'agrees' : 'differs', !check.agrees),
        ].join('');
      });
      return `<h4>${escapeHtml(run.name)} against ${escapeHtml(reference)}</h4>${wrapTable(header, rows)}`;
    }),
  );
  return `<details><summary>Every comparison (${tables.length})</summary>${tables.join('\n')}</details>`;
}

/** Timings of a checkpoint. */
export function timingTable(timing: TimingReport): string {
  const header = ['', 'compile', 'load', 'first run', 'warm run', 'cold ÷ onnxruntime', 'warm ÷ onnxruntime', 'memory'];
  const rows = timing.targets.map((target) => {
    const peer = timing.onnxruntime.find((candidate) => candidate.threads === target.threads);
    const ratio = (ours: number, theirs: number): string => `${(ours / theirs).toFixed(2)}×`;
    return [
      cell(target.spec),
      cell(target.compiledBy === target.spec ? duration(target.compile) : `as ${target.compiledBy}`),
      cell(duration(target.load)),
      cell(duration(target.first)),
      cell(duration(target.warm)),
      cell(peer === undefined ? '–' : ratio(target.compile + target.load + target.first, peer.load + peer.first)),
      cell(peer === undefined ? '–' : ratio(target.warm, peer.warm)),
      cell(bytes(target.weights + target.arena)),
    ].join('');
  });
  for (const peer of timing.onnxruntime)
    rows.push(
      [
        cell(`onnxruntime, ${peer.threads} thread${peer.threads === 1 ? '' : 's'}`),
        cell('–'),
        cell(duration(peer.load)),
        cell(duration(peer.first)),
        cell(duration(peer.warm)),
        cell(''),
        cell(''),
        cell(''),
      ].join(''),
    );
  return `<h3>Time for ${timing.tokens} tokens (${escapeHtml(timing.case)})</h3>
<small>An informal figure: single runs beside whatever else the machine does. Cold is compile + load + first run; exporting to ONNX is not counted. Below 1 we are faster.</small>
${wrapTable(header, rows)}`;
}
