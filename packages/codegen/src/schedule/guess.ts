/**
 * The step `guess`: what a loop carries from one iteration to the next by a choice, it carries by a branch instead. A machine that guesses
 * branches then begins the next iteration before it knows the choice: a walk reads the next node's numbers while it still
 * adds up this one's, and is right at least every other time.
 */
import * as k from '../kernel-ir/build.ts';
import type { Expr, Stmt } from '../kernel-ir/types.ts';
import { children, mapBlocks, mapChildren, namesDefined } from '../kernel-ir/walk.ts';

type For = Extract<Stmt, { kind: 'for' }>;
type Select = Extract<Expr, { kind: 'op' }>;

/** The statements that replace `loop`, or the reason it can't be done. */
export function guessNext(loop: For): readonly Stmt[] | string {
  const inside = namesDefined(loop.body);
  let guessed = false;
  const rewrite = (body: readonly Stmt[]): readonly Stmt[] =>
    body.map((s) => {
      if (s.kind === 'for') return s;
      if (s.kind !== 'assign' || inside.has(s.name)) return mapBlocks(s, rewrite);
      const choice = choiceIn(s.value);
      if (choice === null) return s;
      guessed = true;
      const [condition, then, otherwise] = choice.args as [Expr, Expr, Expr];
      const taken = (branch: Expr): readonly Stmt[] => [k.assign(s.name, replaced(s.value, choice, branch))];
      return { kind: 'if', condition, then: taken(then), otherwise: taken(otherwise) };
    });
  const body = rewrite(loop.body);
  return guessed ? [{ ...loop, body }] : 'it carries nothing that a choice decides';
}

/** The first choice between integers in an expression. */
function choiceIn(e: Expr): Select | null {
  if (e.kind === 'op' && e.op === 'select' && e.type.scalar === 'i32' && e.type.lanes === 1) return e;
  for (const part of children(e)) {
    const found = choiceIn(part);
    if (found !== null) return found;
  }
  return null;
}

const replaced = (e: Expr, part: Expr, by: Expr): Expr =>
  e === part ? by : mapChildren(e, (child) => replaced(child, part, by));
