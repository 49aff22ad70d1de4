/** The targets against each other on the page: a table coloured by how far they are apart. */
import { type Matrix, type PairDifference, type Place, pairOf } from '../../compare/matrix.ts';
import { counted, scientific } from '../format.ts';
import { escapeHtml } from './text.ts';

/** Relative differences where the colour begins and where it is full: float32's own step, and what no float32 explains. */
const [COLD, HOT] = [1e-8, 1e-4];

/** 0 to 100 on a logarithmic scale; equal is 0. */
const heat = (relative: number): number => {
  if (relative === 0) return 0;
  const share = (Math.log(relative) - Math.log(COLD)) / (Math.log(HOT) - Math.log(COLD));
  return Math.round(8 + 72 * Math.min(1, Math.max(0, share)));
};

/** The section; nothing for fewer than two targets. */
export function matrixSection(matrix: Matrix): string {
  const { targets } = matrix;
  if (targets.length < 2) return '';
  const head = targets.map((name) => `<th>${escapeHtml(name).replace(':', ':<wbr>')}</th>`).join('');
  const rows = targets.map((a) => {
    const cells = targets.map((b) => cell(pairOf(matrix, a, b)));
    return `<tr><td>${escapeHtml(a)}</td>${cells.join('')}</tr>`;
  });
  return `<section id="matrix"><h2>Targets against each other</h2>
<p class="soft">The largest difference over all tensors and all cases that both ran, absolute, and in units of the largest element of the tensor; coloured by the latter. Routes are named where they part. No reference is involved, so this is no verdict.</p>
<div class="scroll"><table class="matrix"><thead><tr><th></th>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div></section>`;
}

const where = (at: Place): string => `${at.tensor} (${at.checkpoint}, ${at.case})`;

function cell(pair: PairDifference | undefined): string {
  if (pair === undefined) return '<td class="self">·</td>';
  const { cases, walks, maxAbs, maxRelative, absAt, relativeAt, routesApart } = pair;
  if (cases === 0) return '<td class="self" title="no case that both ran">–</td>';
  const title = [
    `${pair.a} and ${pair.b}: ${counted(cases, 'case')}, ${counted(walks, 'walk')}`,
    ...(absAt === null ? [] : [`${scientific(maxAbs)} at ${where(absAt)}`]),
    ...(relativeAt === null ? [] : [`${scientific(maxRelative)} of the largest element at ${where(relativeAt)}`]),
  ].join('\n');
  const parted = routesApart > 0 ? `<small class="bad">${counted(routesApart, 'route')} apart</small>` : '';
  const numbers = maxAbs === 0 ? 'equal' : `${scientific(maxAbs)}<small>${scientific(maxRelative)}</small>`;
  return `<td${routesApart > 0 ? ' class="apart"' : ''} style="--heat:${heat(maxRelative)}%" title="${escapeHtml(title)}">${numbers}${parted}</td>`;
}
