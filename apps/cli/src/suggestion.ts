/** What is said of a misspelt word. */
import { closest } from '@espalier/ir';

/** "Did you mean x?", or where nothing is near, all there is. */
export function suggestion(word: string, known: readonly string[], what: string): string {
  const near = closest(word, known);
  return near === null ? `${what}: ${known.join(', ') || 'none'}.` : `Did you mean ${near}?`;
}
