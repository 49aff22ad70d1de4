/** The comparison as one page that needs nothing else. */
import { type Report, verdict } from './report-text.ts';
import { cellsOf } from './summary.ts';

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c);

const style = `
:root { color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem .9rem .15rem 0; vertical-align: top; }
th { border-bottom: 1px solid #8886; font-weight: 600; }
details { border: 1px solid #8884; border-radius: 6px; margin: .6rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } .quiet { opacity: .65; }
pre { overflow-x: auto; font: 12.5px/1.45 ui-monospace, monospace; margin: .6rem 0; }
pre span { display: block; } .plus { background: #2a42; background: color-mix(in srgb, green 18%, transparent); }
.minus { background: color-mix(in srgb, red 16%, transparent); } .at { opacity: .6; }
`;

const hunkLine = (text: string): string => {
  const kind = text.startsWith('@@') ? 'at' : text.startsWith('+') ? 'plus' : text.startsWith('-') ? 'minus' : '';
  return `<span${kind === '' ? '' : ` class="${kind}"`}>${escaped(text) || ' '}</span>`;
};

/** The page. The same report gives the same text. */
export function reportHtml(report: Report): string {
  const { base, head, rows, differences, comparison } = report;
  const table = rows.map(
    (row) =>
      `<tr>${cellsOf(row)
        .map((cell) => `<td>${escaped(cell)}</td>`)
        .join('')}</tr>`,
  );
  const changes = differences.map(({ change, hunks, added, removed, also }, i) => {
    const more = also.length === 0 ? '' : ` <span class="quiet">and ${also.length} more</span>`;
    const facts = change.facts.map((fact) => `<div>${escaped(fact)}</div>`).join('');
    const others =
      also.length === 0
        ? ''
        : `<details><summary>The same change in</summary>${also.map((one) => `<div>${escaped(one.where)}</div>`).join('')}</details>`;
    const body = hunks === '' ? '' : `<pre>${hunks.trimEnd().split('\n').map(hunkLine).join('')}</pre>`;
    return `<details${i < 3 ? ' open' : ''}><summary>${escaped(change.where)} <b>−${removed} +${added}</b>${more}</summary>
<div class="quiet">${escaped(change.statements)}</div>${facts}${body}${others}</details>`;
  });
  const lone = (['added', 'removed'] as const).flatMap((side) =>
    comparison[side].length === 0
      ? []
      : [
          `<details><summary>${comparison[side].length} kernels ${side === 'added' ? 'are new' : 'were removed'}</summary>${comparison[
            side
          ]
            .map((one) => `<div>${escaped(one.where)} <span class="quiet">${escaped(one.statements)}</span></div>`)
            .join('')}</details>`,
        ],
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Replay: ${escaped(verdict(report))}</title>
<style>${style}</style>
<h1>${escaped(verdict(report))}</h1>
<p>${escaped(base)}<br>→ ${escaped(head)}</p>
${table.length === 0 ? '' : `<table><tr><th>layer</th><th>target</th><th>kernels</th><th>lines</th><th>what else</th></tr>\n${table.join('\n')}\n</table>`}
${changes.length === 0 ? '' : `<h2>Changes</h2>\n${changes.join('\n')}`}
${lone.length === 0 ? '' : `<h2>Kernels on one side only</h2>\n${lone.join('\n')}`}
</html>
`;
}
