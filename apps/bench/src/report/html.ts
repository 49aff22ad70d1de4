/** Results as one page that needs nothing else: verdicts as a scale, bars of time, and the tables. */
import { paperRows } from '../paper.ts';
import type { Result, Results } from '../results.ts';
import { type Judged, judge } from '../targets.ts';
import { STYLE } from './css.ts';
import { amount, aToken, bits, duration, foundText, limitText, plural, rowName, times, verdicts } from './format.ts';
import { amdahlText, extrasText, headText } from './text.ts';

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] as string);

/** The width of a letter of a name at most, in the units of the drawings. */
const LETTER = 7.2;

/** Bars of time a token on a logarithmic scale: from one contender to another may be a factor of a hundred. */
function bars(result: Result): string {
  const values = result.rows.map((r) => aToken(r, result));
  // The scale holds the spreads, too, so that what is written behind the longest of them has its place.
  const [least, most] = [
    Math.min(...values) / 2,
    Math.max(...values, ...result.rows.map((r) => aToken(r, result, 'high'))),
  ];
  const longest = Math.max(...result.rows.map((r) => rowName(r).length));
  const [left, room, behind] = [Math.max(236, LETTER * longest + 12), 440, 154];
  const at = (value: number): number => room * (Math.log(value / least) / Math.log(most / least || 2));
  const bottom = 24 * result.rows.length;
  // A line for each power of ten within; where there are few, for 2 and 5 of each, too.
  const steps = most / least < 50 ? [1, 2, 5] : [1];
  const powers: number[] = [];
  for (let p = Math.floor(Math.log10(least)); p <= Math.log10(most); p++)
    powers.push(...steps.map((s) => s * 10 ** p).filter((v) => v > least && v <= most));
  const grid = powers.map((p) => {
    const x = (left + at(p)).toFixed(1);
    return `<line x1="${x}" x2="${x}" y1="0" y2="${bottom}" class="grid"/><text x="${x}" y="${bottom + 14}" text-anchor="middle" class="axis">${duration(p * 1.000001).replace(/\.0+ /, ' ')}</text>`;
  });
  const rows = result.rows.map((row, i) => {
    const value = values[i] as number;
    const [low, high] = [at(aToken(row, result, 'low')), at(aToken(row, result, 'high'))].map(
      (v) => left + Math.max(0, v),
    );
    const kind = row.ratio === undefined ? 'ours' : row.name.startsWith('espalier') ? 'own' : 'other';
    const to = row.ratio === undefined ? '' : ` <tspan class="ratio">${times(row.ratio.median)}</tspan>`;
    const spread = `<line x1="${low?.toFixed(1)}" x2="${high?.toFixed(1)}" y1="11" y2="11" class="spread"/>`;
    return `<g transform="translate(0 ${24 * i})"><text x="${left - 8}" y="15" text-anchor="end">${escaped(rowName(row))}</text><rect x="${left}" y="3" height="16" rx="1.5" width="${at(value).toFixed(1)}" class="${kind}"/>${spread}<text x="${(Math.max(left + at(value), high ?? 0) + 8).toFixed(1)}" y="15">${duration(value)}${to}</text></g>`;
  });
  return `<div class="wide"><svg viewBox="0 0 ${left + room + behind} ${bottom + 20}" role="img" aria-label="time a token, logarithmic">${grid.join('')}${rows.join('')}</svg></div>`;
}

const cells = (texts: readonly string[], tag: 'td' | 'th' = 'td'): string =>
  texts.map((t) => `<${tag}>${escaped(t)}</${tag}>`).join('');

const tableOf = (kind: string, header: readonly string[], rows: readonly string[]): string =>
  `<div class="wide"><table class="${kind}"><thead><tr>${cells(header, 'th')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;

function numbers(result: Result): string {
  const rows = result.rows.map((r) => {
    const ratio =
      r.ratio === undefined ? '' : `${times(r.ratio.median)} (${times(r.ratio.low)} … ${times(r.ratio.high)})`;
    const spread = `${duration(aToken(r, result, 'low'))} … ${duration(aToken(r, result, 'high'))}`;
    return `<tr>${cells([rowName(r), duration(aToken(r, result)), spread, r.gflops.toFixed(1), r.gigabytes.toFixed(1), limitText(r), ratio, r.error.toExponential(1)])}</tr>`;
  });
  const header = ['', 'a token', '10 … 90 %', 'GFLOP/s', 'GB/s', 'of ceiling', 'to ours', 'error'];
  const notes = [
    ...result.rejected.map((r) => `<p class="wrong">${escaped(`${r.name}: ${r.why}`)}</p>`),
    ...result.skipped.map(
      (s) =>
        `<p class="note">${escaped(`skipped ${s.name}: ${s.reason}${s.command === undefined ? '' : `; ${s.command}`}`)}</p>`,
    ),
  ];
  return `<details><summary>numbers</summary>${tableOf('numbers', header, rows)}</details>${notes.join('')}`;
}

/** Where a target stands between nothing and twice its aim, with ticks at what must be reached and at the aim; on a logarithmic scale. */
function gauge({ target: { reach, aim, better }, found, verdict }: Judged): string {
  if (found === null) return '';
  const share = (value: number): number => {
    const relative = better === 'more' ? value / reach : reach / value;
    return 62 + 56 * Math.max(-1, Math.min(1, Math.log2(relative) / 2));
  };
  const tick = (value: number, kind: string): string =>
    `<line x1="${share(value).toFixed(1)}" x2="${share(value).toFixed(1)}" y1="2" y2="14" class="${kind}"/>`;
  return `<svg class="gauge" viewBox="0 0 124 16" aria-hidden="true"><line x1="6" x2="118" y1="8" y2="8" class="grid"/>${tick(reach, 'reach')}${tick(aim, 'aim')}<circle cx="${share(found.value.median).toFixed(1)}" cy="8" r="4" class="${verdict}"/></svg>`;
}

function targetsSection(results: Results): string {
  const judged = judge(results);
  if (judged.every((j) => j.verdict === 'open')) return '';
  const rows = judged.map((j) => {
    const { work, against, reach, aim, unit, better } = j.target;
    const limit = (value: number): string => `${better === 'less' ? '≤ ' : ''}${amount(value, unit)}`;
    return `<tr>${cells([work, against, limit(reach), limit(aim), foundText(j)])}<td>${gauge(j)}</td><td class="${j.verdict}">${verdicts[j.verdict]}</td></tr>`;
  });
  const header = ['', 'to', 'reach', 'aim', 'measured', '', ''];
  return `<section><h2>What was set out to be reached</h2>${tableOf('targets', header, rows)}<p class="note">Scale: logarithmic, from a quarter to four times what must be reached; the first tick is that, the second the aim. Kernels are 256-bit and run on one thread where nothing else is said.</p></section>`;
}

function paperSection(results: Results): string {
  const rows = paperRows(results).filter((r) => r.measured !== 'not measured' || r.published !== '–');
  if (rows.every((r) => r.measured === 'not measured')) return '';
  const seen = new Set<string>();
  const lines = rows.map(({ section, claim, published, measured, remark }) => {
    const head = seen.has(section) ? '' : `<tr><th colspan="3">${escaped(section)}</th></tr>`;
    seen.add(section);
    return `${head}<tr><td>${escaped(claim)}<div class="note">${escaped(remark)}</div></td>${cells([published, measured])}</tr>`;
  });
  return `<section><h2>Published and measured <small>UltraFastBERT, arXiv 2311.10770</small></h2>${tableOf('paper', ['', 'published', 'measured'], lines)}</section>`;
}

/** The page. */
export function pageOf(results: Results): string {
  const sections = results.results.map((r) => {
    const title = `${r.work}, ${plural(r.tokens, 'token')}`;
    const sub = `${plural(r.threads, 'thread')}, ${bits(r.mode)}${r.note === undefined ? '' : `; ${r.note}`}`;
    return `<section><h2>${escaped(title)} <small>${escaped(sub)}</small></h2>${bars(r)}${numbers(r)}</section>`;
  });
  const lines = [...results.amdahl.map((a) => amdahlText(a).replace('\n  ', '; ')), ...extrasText(results)].map(
    (t) => `<li>${escaped(t)}</li>`,
  );
  const revision = results.revision === undefined ? '' : ` at ${results.revision}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Espalier bench</title><style>
${STYLE}</style></head><body><h1>Espalier beside its peers</h1><p class="head">${escaped(headText(results)).replace('\n', '<br>')}<br><code>${escaped(results.command)}</code>${escaped(revision)}</p>
<p>Every output was compared with the float64 interpreter (whole encoders: with each other) before anything was timed. A factor is a contender's time to ours, the median of ratios turn by turn in one process: above 1x ours is faster. “alu” is the share of the multiply-adds that the widest vectors of a core do, “mem” the share of what reading weights in such order gives, each weight counted once a run.</p>
${targetsSection(results)}${paperSection(results)}${lines.length === 0 ? '' : `<h2>In sum</h2><ul>${lines.join('')}</ul>`}<h2>Time a token <small>logarithmic; the thin line is the 10th to 90th percentile</small></h2>${sections.join('')}</body></html>
`;
}
