/** Tables of a case for the terminal: by default one with a column a target; with `--verbose` one for each target and reference. */
import type { Check } from '../../compare/verdict.ts';
import type { CaseReport } from '../data.ts';
import { cosineLoss, scientific } from '../format.ts';
import { allowedText, columnsOf, errorOf, type Row, rowsOf, shortNames } from '../rows.ts';
import { type Cell, type Style, table } from './style.ts';

/** Most columns of targets side by side within 100 characters. */
const MOST_TARGETS = 4;

const routeText = (check: Extract<Check, { kind: 'route' }>): string => {
  const within = check.differences.filter((difference) => difference.within).length;
  const beyond = check.differences.length - within;
  if (beyond > 0) return `${beyond} part`;
  return within > 0 ? `${within} flip${within === 1 ? '' : 's'}` : check.agrees ? 'equal' : 'scores';
};

const cellOf = (check: Check | undefined, style: Style): Cell => {
  if (check === undefined) return { text: '–', paint: style.dim };
  const text =
    check.kind === 'route'
      ? routeText(check)
      : check.rows === 0 && check.allRows > 0
        ? 'none'
        : scientific(errorOf(check));
  return { text, paint: check.agrees ? (x) => x : style.bad };
};

const againstText = (reference: string): string =>
  reference === 'interpreter'
    ? 'exact'
    : reference === 'golden f64'
      ? 'orig. f64'
      : reference === 'golden'
        ? 'original'
        : reference;

function verdict(row: Row, style: Style): Cell {
  if (row.departs.length > 0) return { text: '✗ differs', paint: style.bad };
  return { text: '✓', paint: style.good };
}

/** The table of some cases with the same targets; `prefix` names the rows of each case. */
export function caseTable(
  cases: readonly { readonly one: CaseReport; readonly prefix: string }[],
  style: Style,
): readonly string[] {
  const columns = columnsOf((cases[0] as (typeof cases)[number]).one);
  const targets = columns.filter((run) => run.kind === 'target').map((run) => run.name);
  const others = columns.filter((run) => run.kind !== 'target').map((run) => run.name);
  const lines: string[] = [];
  for (let from = 0; from < Math.max(1, targets.length); from += MOST_TARGETS) {
    const shown = targets.slice(from, from + MOST_TARGETS);
    const names = [...shortNames(shown), ...others.map((name) => (name === 'onnxruntime' ? 'onnxrt' : name))];
    const header = ['tensor', 'against', 'allowed', ...names, 'rel RMS', '1−cos', ''];
    const rows: Cell[][] = [header.map((text) => ({ text, paint: style.dim }))];
    for (const { one, prefix } of cases)
      for (const row of rowsOf(one)) {
        const value = row.kind === 'value';
        rows.push([
          { text: prefix + row.name },
          { text: againstText(row.against), paint: style.dim },
          { text: value ? allowedText(row, shown) : '', paint: style.dim },
          ...[...shown, ...others].map((name) => cellOf(row.checks.get(name), style)),
          { text: value ? scientific(row.relativeRms) : '' },
          { text: value ? cosineLoss(row.cosine) : '' },
          verdict(row, style),
        ]);
      }
    lines.push(...table(rows, '    '));
  }
  return lines;
}

/** Every comparison of every run, in full. */
export function fullTables(one: CaseReport, style: Style): readonly string[] {
  return one.runs.flatMap((run) =>
    run.comparisons.flatMap(({ reference, checks }) => {
      const header = ['tensor', 'max abs', 'allowed', 'rel RMS', 'cosine', 'rows', ''];
      const rows: Cell[][] = [header.map((text) => ({ text, paint: style.dim }))];
      for (const check of checks) {
        const value = check.kind === 'value';
        const allowed = value ? check.allowed : (check.worstScore?.allowed ?? 0);
        rows.push([
          { text: check.name },
          { text: scientific(errorOf(check)) },
          { text: scientific(allowed), paint: style.dim },
          { text: value ? scientific(check.relativeRms) : routeText(check) },
          { text: value ? check.cosine.toFixed(9) : '' },
          { text: `${check.rows}/${check.allRows}`, paint: style.dim },
          check.agrees ? { text: '✓', paint: style.good } : { text: '✗ differs', paint: style.bad },
        ]);
      }
      return [`    ${style.bold(run.name)} against ${style.bold(reference)}`, ...table(rows, '    ')];
    }),
  );
}
