/** The targets against each other, for the terminal: under the diagonal absolute differences, over it relative ones. */
import { type Matrix, type PairDifference, pairOf } from '../../compare/matrix.ts';
import { counted, scientific } from '../format.ts';
import { type Cell, type Style, table, wrap } from './style.ts';

const WIDTH = 100;
/** Most columns within WIDTH, beside the names. */
const MOST_COLUMNS = 8;

/** Nothing for fewer than two targets. */
export function matrixLines(matrix: Matrix, style: Style): readonly string[] {
  const { targets, pairs } = matrix;
  if (targets.length < 2) return [];
  const lines = [
    '',
    style.bold('Targets against each other'),
    ...wrap(
      'Largest differences over all tensors and all cases that both ran: below the diagonal absolute, above it in units of the largest element of the tensor.',
      WIDTH,
      '  ',
    ).map(style.dim),
  ];
  for (let from = 0; from < targets.length; from += MOST_COLUMNS) {
    const columns = targets.slice(from, from + MOST_COLUMNS);
    const header: Cell[] = ['', ...columns.map((_, i) => String(from + i + 1)), ''].map((text) => ({
      text,
      paint: style.dim,
    }));
    const rows = targets.map((a, i): readonly Cell[] => [
      { text: `${i + 1} ${a}` },
      ...columns.map((b, j) => cellOf(pairOf(matrix, a, b), i > from + j, style)),
      { text: '' },
    ]);
    lines.push(...table([header, ...rows], '  '));
  }
  return [...lines, ...routeLines(pairs, style), ...farthest(pairs, style)];
}

function cellOf(pair: PairDifference | undefined, absolute: boolean, style: Style): Cell {
  if (pair === undefined) return { text: '·', paint: style.dim };
  if (pair.cases === 0) return { text: '–', paint: style.dim };
  const value = absolute ? pair.maxAbs : pair.maxRelative;
  return { text: value === 0 ? '=' : scientific(value) };
}

function routeLines(pairs: readonly PairDifference[], style: Style): readonly string[] {
  const walks = pairs.reduce((sum, pair) => sum + pair.walks, 0);
  if (walks === 0) return [];
  const apart = pairs.filter((pair) => pair.routesApart > 0);
  if (apart.length === 0) return [style.dim(`  routes: equal for all of them (${counted(walks, 'walk')} compared)`)];
  return apart.map(({ a, b, routesApart, walks: all }) =>
    style.warn(`  routes: ${a} and ${b} part in ${routesApart} of ${counted(all, 'walk')}`),
  );
}

/** Which two are farthest from each other, and where. */
function farthest(pairs: readonly PairDifference[], style: Style): readonly string[] {
  const [worst] = pairs.toSorted((x, y) => y.maxRelative - x.maxRelative);
  const at = worst?.relativeAt;
  if (worst === undefined || at == null) return [];
  const text = `farthest: ${worst.a} and ${worst.b}, ${scientific(worst.maxRelative)} of the largest element at ${at.tensor} (${at.checkpoint}, ${at.case})`;
  return wrap(text, WIDTH, '  ').map(style.dim);
}
