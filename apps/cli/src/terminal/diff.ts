/** Two texts compared line by line, as a unified diff. */
import { diff } from 'node:util';
import type { Style } from './style.ts';

/** Lines around a change that are shown with it. */
const CONTEXT = 3;

type Line = { readonly mark: ' ' | '-' | '+'; readonly text: string };

function linesOf(before: string, after: string): readonly Line[] {
  const split = (text: string): string[] => text.replace(/\n$/, '').split('\n');
  // util.diff marks what only the first list has with 1, what only the second has with -1.
  return diff(split(before), split(after)).map(([side, text]) => ({
    mark: side === 0 ? ' ' : side === 1 ? '-' : '+',
    text,
  }));
}

/** The unified diff without file names: hunks of changed lines, minus and plus, with three lines around. Empty for equal texts. */
export function unifiedDiff(before: string, after: string, style: Style): string {
  if (before === after) return '';
  const lines = linesOf(before, after);
  const near = lines.map((_, i) => lines.slice(Math.max(0, i - CONTEXT), i + CONTEXT + 1).some((l) => l.mark !== ' '));
  let old = 1;
  let fresh = 1;
  let text = '';
  lines.forEach((line, i) => {
    if (near[i] === true) {
      if (near[i - 1] !== true) text += `${style.accent(`@@ -${old} +${fresh} @@`)}\n`;
      const painted = line.mark === '-' ? style.bad : line.mark === '+' ? style.good : (t: string) => t;
      text += `${painted(`${line.mark}${line.text}`)}\n`;
    }
    if (line.mark !== '+') old++;
    if (line.mark !== '-') fresh++;
  });
  return text;
}

/** How many lines went and came. */
export function changedLines(before: string, after: string): { readonly removed: number; readonly added: number } {
  const lines = before === after ? [] : linesOf(before, after);
  return {
    removed: lines.filter((l) => l.mark === '-').length,
    added: lines.filter((l) => l.mark === '+').length,
  };
}
