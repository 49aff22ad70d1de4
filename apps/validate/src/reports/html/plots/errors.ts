/** Error by layer: one series a target, the tolerance above them, on a logarithmic axis. */
import type { CaseReport } from '../../data.ts';
import { scientific } from '../../format.ts';
import { columnsOf, errorOf, rowsOf } from '../../rows.ts';
import { coordinate, escapeHtml } from '../text.ts';
import { logScale } from './scale.ts';

const [LEFT, TOP, HEIGHT, BOTTOM] = [64, 12, 220, 88];

/** The plot as SVG; empty without values. */
export function errorPlot(one: CaseReport): string {
  const rows = rowsOf(one).filter((row) => row.kind === 'value' && row.checks.size > 0);
  if (rows.length === 0) return '';
  const columns = columnsOf(one);
  const step = Math.min(64, Math.max(22, 820 / rows.length));
  const width = LEFT + step * rows.length + 24;
  const errors = rows.flatMap((row) => [row.allowed, ...[...row.checks.values()].map(errorOf)]);
  const scale = logScale(errors, HEIGHT);
  const x = (i: number): number => LEFT + step * (i + 0.5);
  const y = (value: number): number => TOP + HEIGHT - scale.at(value);
  const parts: string[] = [];
  for (const exponent of scale.exponents) {
    const at = coordinate(y(10 ** exponent));
    parts.push(`<line class="grid" x1="${LEFT}" x2="${width - 12}" y1="${at}" y2="${at}"/>`);
    parts.push(
      `<text class="tick" x="${LEFT - 8}" y="${at}" dy="0.32em" text-anchor="end">10<tspan class="exponent" dy="-5">${exponent}</tspan></text>`,
    );
  }
  rows.forEach((row, i) => {
    const [px, py] = [coordinate(x(i)), TOP + HEIGHT + 12];
    parts.push(
      `<text class="tick" transform="translate(${px} ${py}) rotate(-40)" text-anchor="end">${escapeHtml(row.name)}</text>`,
    );
  });
  const allowed = rows
    .flatMap((row, i) => [[x(i) - step / 2, y(row.allowed)] as const, [x(i) + step / 2, y(row.allowed)] as const])
    .map(([px, py]) => `${coordinate(px)},${coordinate(py)}`);
  parts.push(`<polyline class="allowed" points="${allowed.join(' ')}"/>`);
  columns.forEach((run, series) => {
    const points = rows.flatMap((row, i) => {
      const check = row.checks.get(run.name);
      return check === undefined ? [] : [{ i, check, px: x(i), py: y(errorOf(check)) }];
    });
    if (points.length === 0) return;
    const colour = run.kind === 'target' ? `s${series % 6}` : 'peer';
    const line = points.map(({ px, py }) => `${coordinate(px)},${coordinate(py)}`).join(' ');
    parts.push(`<polyline class="line ${colour}" points="${line}"/>`);
    for (const { i, check, px, py } of points) {
      const name = (rows[i] as (typeof rows)[number]).name;
      const title = escapeHtml(`${run.name}: ${name} ${scientific(errorOf(check))}`);
      const radius = check.agrees ? 3 : 5;
      parts.push(
        `<circle class="dot ${colour}${check.agrees ? '' : ' bad'}" cx="${coordinate(px)}" cy="${coordinate(py)}" r="${radius}"><title>${title}</title></circle>`,
      );
    }
  });
  const legend = [
    ...columns.map((run, series) => {
      const colour = run.kind === 'target' ? `s${series % 6}` : 'peer';
      return `<span><i class="swatch ${colour}"></i>${escapeHtml(run.name)}</span>`;
    }),
    '<span><i class="swatch allowed"></i>allowed</span>',
  ];
  const height = TOP + HEIGHT + BOTTOM;
  return `<figure><figcaption>Largest error by tensor, in the order of computation <span class="legend">${legend.join('')}</span></figcaption>
<div class="scroll"><svg viewBox="0 0 ${coordinate(width)} ${height}" width="${coordinate(width)}" height="${height}" role="img" aria-label="largest error by tensor">${parts.join('')}</svg></div></figure>`;
}
