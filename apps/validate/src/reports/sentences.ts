/** What differs, in a sentence: shared by the terminal and the page. */
import type { Check } from '../compare/verdict.ts';
import { precise, scientific } from './format.ts';

/** The first difference of a run in one sentence. */
export function firstSentence(check: Check, reference: string): string {
  if (check.kind === 'route') {
    const open = check.differences.find((difference) => !difference.within);
    if (open === undefined) {
      const worst = check.worstScore;
      return worst === null
        ? `${check.name} departs from ${reference}`
        : `the score at level ${worst.level} of row ${worst.row} in ${check.name} is ${precise(worst.found)} against ${reference}'s ${precise(worst.expected)}: further than float32 explains (${scientific(worst.allowed)})`;
    }
    const where = `row ${open.row}, tree ${open.tree}`;
    if (open.level < 0) return `${check.name}: ${where} does not start where ${reference} does`;
    const score = Number.isNaN(open.score)
      ? 'whose exact score is not known'
      : `whose exact score ${scientific(open.score)} leaves no doubt (bound ${scientific(open.bound)})`;
    return `${check.name}: ${where} leaves ${reference}'s route at level ${open.level}, node ${open.node}, ${score}`;
  }
  const at = check.at === null ? '' : ` at row ${check.at.row}, column ${check.at.column}`;
  if (check.maxAbs <= check.allowed && check.argmax !== null)
    return `${check.name}: the largest score of ${check.argmax.rows - check.argmax.equal - check.argmax.tied} rows is another than ${reference}'s`;
  return `${check.name} departs from ${reference}${at}: ${precise(check.found)} against ${precise(check.expected)}, off by ${scientific(check.maxAbs)}, allowed ${scientific(check.allowed)}`;
}
