/** What names of whole numbers are known to be multiples of: where a run of elements begins decides whether it is one access. */
import { affine, residue } from './affine.ts';
import type { Stmt } from './types.ts';
import { visitStatements } from './walk.ts';

/** Longest run of elements that is one access. */
const LONGEST = 8;

/** By name, the largest power of two up to `longest` that divides it in every round. Names that are only known to be whole are left out. */
export function multiplesIn(body: readonly Stmt[], longest = LONGEST): ReadonlyMap<string, number> {
  const multiples = new Map<string, number>();
  const note = (name: string, divides: (n: number) => boolean): void => {
    for (let n = longest; n > 1; n /= 2)
      if (divides(n)) {
        multiples.set(name, n);
        return;
      }
  };
  visitStatements(body, (s) => {
    if (s.kind === 'for') note(s.index, (n) => s.step % n === 0 && residue(affine(s.from), n, multiples) === 0);
    else if (s.kind === 'let' && s.value.type.scalar === 'i32' && s.value.type.lanes === 1)
      note(s.name, (n) => residue(affine(s.value), n, multiples) === 0);
  });
  return multiples;
}
