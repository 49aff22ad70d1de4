/**
 * How close decisions were: for every row the least |score| that decided something, beside the rounding bounds of the same
 * decisions. Where the two meet, float32 may go either way.
 */
import type { TreeReport } from '../../data.ts';
import { scientific } from '../../format.ts';
import { coordinate } from '../text.ts';

const [WIDTH, HEIGHT, LEFT, BOTTOM, BINS_A_DECADE] = [640, 130, 40, 34, 4];

/** The histogram as SVG; empty without decisions. */
export function marginPlot(trees: readonly TreeReport[]): string {
  const margins = trees.flatMap((tree) => tree.margins).filter((value) => Number.isFinite(value) && value > 0);
  const ties = trees.flatMap((tree) => tree.margins).filter((value) => value === 0).length;
  const bounds = trees
    .flatMap((tree) => tree.bounds.filter((_, row) => Number.isFinite(tree.margins[row])))
    .filter((value) => Number.isFinite(value) && value > 0);
  if (margins.length === 0) return '';
  const logs = [...margins, ...bounds].map(Math.log10);
  const low = Math.floor(logs.reduce((a, b) => Math.min(a, b)));
  const high = Math.max(low + 1, Math.ceil(logs.reduce((a, b) => Math.max(a, b)) + 1e-9));
  const bins = (high - low) * BINS_A_DECADE;
  const count = (values: readonly number[]): readonly number[] => {
    const counts = new Array<number>(bins).fill(0);
    for (const value of values) {
      const bin = Math.min(bins - 1, Math.max(0, Math.floor((Math.log10(value) - low) * BINS_A_DECADE)));
      counts[bin] = (counts[bin] as number) + 1;
    }
    return counts;
  };
  const [ofMargins, ofBounds] = [count(margins), count(bounds)];
  const most = Math.max(...ofMargins, ...ofBounds);
  const wide = (WIDTH - LEFT - 8) / bins;
  const bars = (counts: readonly number[], style: string): string =>
    counts
      .map((value, bin) => {
        if (value === 0) return '';
        const tall = (value / most) * HEIGHT;
        const from = scientific(10 ** (low + bin / BINS_A_DECADE));
        return `<rect class="${style}" x="${coordinate(LEFT + bin * wide + 0.5)}" y="${coordinate(8 + HEIGHT - tall)}" width="${coordinate(wide - 1)}" height="${coordinate(tall)}"><title>${value} from ${from}</title></rect>`;
      })
      .join('');
  const ticks = Array.from({ length: high - low + 1 }, (_, i) => {
    const at = coordinate(LEFT + i * BINS_A_DECADE * wide);
    return `<line class="grid" x1="${at}" x2="${at}" y1="8" y2="${HEIGHT + 8}"/><text class="tick" x="${at}" y="${HEIGHT + 24}" text-anchor="middle">10<tspan class="exponent" dy="-5">${low + i}</tspan></text>`;
  });
  const tied = ties === 0 ? '' : ` ${ties} rows decide at exactly 0 and are not drawn.`;
  return `<figure><figcaption>Closest decision of each row <span class="legend"><span><i class="swatch visited"></i>|score|</span><span><i class="swatch bound"></i>rounding bound there</span></span><small>${tied}</small></figcaption>
<div class="scroll"><svg viewBox="0 0 ${WIDTH} ${HEIGHT + BOTTOM}" width="${WIDTH}" height="${HEIGHT + BOTTOM}" role="img" aria-label="margins">${ticks.join('')}${bars(ofMargins, 'visited')}${bars(ofBounds, 'bound')}<text class="tick" x="${LEFT - 6}" y="16" text-anchor="end">${most}</text></svg></div></figure>`;
}
