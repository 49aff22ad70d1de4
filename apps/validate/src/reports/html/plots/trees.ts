/** Where the tokens went: each tree as its levels, every visited node as wide as the leaves below it and the darker the busier. */
import type { TreeReport } from '../../data.ts';
import { coordinate, escapeHtml } from '../text.ts';

const [WIDTH, LEVEL] = [300, 15];

/** One tree as SVG. */
function treePlot(tree: TreeReport, visits: readonly number[], index: number): string {
  const height = tree.levels * LEVEL;
  const parts: string[] = [`<rect class="empty" width="${WIDTH}" height="${height}"/>`];
  const most = Math.log1p(Math.max(1, tree.rows));
  for (let level = 0; level < tree.levels; level++) {
    const first = 2 ** level - 1;
    const wide = WIDTH / 2 ** level;
    for (let node = first; node <= 2 * first; node++) {
      const count = visits[node] ?? 0;
      if (count === 0) continue;
      const shade = coordinate(0.15 + 0.85 * (Math.log1p(count) / most));
      const gap = wide > 4 ? 0.5 : 0;
      parts.push(
        `<rect class="visited" x="${coordinate((node - first) * wide + gap / 2)}" y="${level * LEVEL + 0.5}" width="${coordinate(Math.max(0.6, wide - gap))}" height="${LEVEL - 1}" opacity="${shade}"><title>node ${node}: ${count} of ${tree.rows}</title></rect>`,
      );
    }
  }
  const leaves = visits.slice(2 ** (tree.levels - 1) - 1).filter((count) => count > 0).length;
  const name = tree.trees > 1 ? `${tree.label}, tree ${index}` : tree.label;
  return `<figure class="tree"><figcaption>${escapeHtml(name)} <small>${leaves} of ${2 ** (tree.levels - 1)} last nodes visited by ${tree.rows} rows</small></figcaption>
<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="visits of ${escapeHtml(name)}">${parts.join('')}</svg></figure>`;
}

/** All trees of a case, side by side; empty without any. */
export function treePlots(trees: readonly TreeReport[]): string {
  const plots = trees
    .filter((tree) => tree.levels > 0)
    .flatMap((tree) => tree.visits.map((visits, index) => treePlot(tree, visits, index)));
  return plots.length === 0 ? '' : `<div class="trees">${plots.join('\n')}</div>`;
}
