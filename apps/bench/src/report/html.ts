/** Results as one page that needs nothing else: bars of ratios, and the tables. */
import type { Result, Results } from '../results.ts';
import { amdahlText, duration, headText, times } from './text.ts';

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] as string);

/** Bars of time a token on a logarithmic scale: from one contender to another may be a factor of a hundred. */
function bars(result: Result): string {
  const values = result.rows.map((r) => r.time.median / result.tokens);
  const [least, most] = [Math.min(...values) / 2, Math.max(...values)];
  const width = (value: number): number => 420 * (Math.log(value / least) / Math.log(most / least || 2));
  const rows = result.rows.map((row, i) => {
    const y = 24 * i;
    const value = values[i] as number;
    const to = row.ratio === undefined ? '' : ` · ${times(row.ratio.median)}`;
    return `<g transform="translate(0 ${y})"><text x="232" y="15" text-anchor="end">${escaped(row.name)}</text><rect x="240" y="3" height="16" width="${width(value).toFixed(1)}" class="${row.ratio === undefined ? 'ours' : 'other'}"/><text x="${(246 + width(value)).toFixed(1)}" y="15">${duration(value)}${to}</text></g>`;
  });
  return `<svg viewBox="0 0 820 ${24 * rows.length}" role="img" aria-label="time a token, logarithmic">${rows.join('')}</svg>`;
}

function table(result: Result): string {
  const cells = result.rows.map(
    (r) =>
      `<tr><td>${escaped(r.name)}</td><td>${duration(r.time.median / result.tokens)}</td><td>${duration(r.time.low / result.tokens)} … ${duration(r.time.high / result.tokens)}</td><td>${r.gflops.toFixed(1)}</td><td>${r.gigabytes.toFixed(1)}</td><td>${r.ofCeiling === undefined ? '' : `${(100 * r.ofCeiling).toFixed(0)} %`}</td><td>${r.ratio === undefined ? '' : `${times(r.ratio.median)} (${times(r.ratio.low)} … ${times(r.ratio.high)})`}</td><td>${r.error.toExponential(1)}</td></tr>`,
  );
  const notes = [
    ...result.rejected.map((r) => `<p class="wrong">${escaped(`${r.name}: ${r.why}`)}</p>`),
    ...result.skipped.map(
      (s) =>
        `<p class="note">${escaped(`skipped ${s.name}: ${s.reason}${s.command === undefined ? '' : `; ${s.command}`}`)}</p>`,
    ),
  ];
  return `<details><summary>numbers</summary><table><thead><tr><th></th><th>a token</th><th>10 … 90 %</th><th>GFLOP/s</th><th>GB/s</th><th>of peak</th><th>to ours</th><th>error</th></tr></thead><tbody>${cells.join('')}</tbody></table></details>${notes.join('')}`;
}

/** The page. */
export function pageOf(results: Results): string {
  const sections = results.results.map((r) => {
    const title = `${r.work}, ${r.tokens.toLocaleString('en')} ${r.tokens === 1 ? 'token' : 'tokens'}`;
    const sub = `${r.threads} ${r.threads === 1 ? 'thread' : 'threads'}, ${r.mode === 'wide' ? '256-bit' : '128-bit'}${r.note === undefined ? '' : `; ${r.note}`}`;
    return `<section><h2>${escaped(title)} <small>${escaped(sub)}</small></h2>${bars(r)}${table(r)}</section>`;
  });
  const lines = results.amdahl.map((a) => `<p>${escaped(amdahlText(a))}</p>`);
  const call = results.call === undefined ? '' : `<p>Call overhead: ${results.call.median.toFixed(0)} ns.</p>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Espalier bench</title><style>
:root{color-scheme:light dark;--ink:#1c2320;--paper:#fbfaf6;--ours:#2f7d4f;--other:#b9b4a5;--line:#d8d4c8}
@media(prefers-color-scheme:dark){:root{--ink:#e6e4dc;--paper:#171a18;--ours:#5fbf86;--other:#5d625c;--line:#343a36}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.05rem;margin:2rem 0 .5rem}small{font-weight:normal;opacity:.7}pre,p.note{opacity:.8}
svg{width:100%;font-size:12px}svg text{fill:var(--ink)}.ours{fill:var(--ours)}.other{fill:var(--other)}.wrong{color:#c0392b}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.85rem}th,td{text-align:right;padding:.15rem .7rem;border-bottom:1px solid var(--line)}td:first-child{text-align:left}
</style></head><body><h1>Espalier beside its peers</h1><pre>${escaped(headText(results))}
${escaped(results.command)}</pre><p>Time a token, on a logarithmic scale; the factor is a contender's time to ours, measured turn by turn in one process. Every output was checked before anything was timed.</p>${sections.join('')}${lines.join('')}${call}</body></html>
`;
}
