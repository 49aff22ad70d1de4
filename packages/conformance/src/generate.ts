/**
 * The grammar of random programs. Values stay within reach of float32: every f32 expression carries a bound of its
 * magnitude, and one that grows too large is scaled or squashed. What jumps (comparisons, floor, argmax) is mostly asked of
 * `exact` expressions, short sums and products of multiples of 1/16, which come out the same in any order of evaluation;
 * what slips through is found by `conditioning.ts`.
 */
import { Grammar } from './grammar.ts';
import type { Node, Program, ProgramDim, ProgramStatement } from './program.ts';
import { addContraction, addGather, addNorm, addSoftmax } from './shapes.ts';
import type { Rng, Scope } from './values.ts';

const smallSizes = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;
/** Sizes around those where vectors, register tiles and blocks begin and end. */
const wideSizes = [12, 15, 16, 17, 24, 31, 32, 33, 35, 48, 64, 70] as const;

/** Draws a program. The same numbers from `rng` give the same program. */
export function generateProgram(rng: Rng): Program {
  const names = ['A', 'B', 'C', 'E'].slice(0, 2 + rng.int(3));
  const dims = names.map((name, i): ProgramDim => {
    const runtime = i === 0 || rng.chance(0.3);
    const wide = rng.chance(0.2);
    const value = runtime && rng.chance(0.03) ? 0 : rng.pick(wide ? wideSizes : smallSizes);
    return { name, value, runtime };
  });
  const grammar = new Grammar(rng, dims);
  const count = 1 + rng.int(rng.chance(0.5) ? 3 : 6);
  while (grammar.statements.length < count) {
    const kind = rng.int(11);
    if (kind < 2) addContraction(grammar);
    else if (kind === 2) addSoftmax(grammar);
    else if (kind === 3) addNorm(grammar);
    else if (kind === 4) addGather(grammar);
    else addStatement(grammar);
  }
  const { tensors } = grammar;
  const read = new Set(grammar.statements.flatMap((s) => [...readsIn(s.value)]));
  const statements = grammar.statements.map(
    (s): ProgramStatement => ({ ...s, output: !read.has(s.target) || rng.chance(0.3) }),
  );
  return { dims, tensors, statements, data: rng.int(0x7fffffff) };
}

/** A statement of any shape. */
function addStatement(grammar: Grammar): void {
  const { rng } = grammar;
  const axes = grammar.axes(rng.pick([0, 1, 1, 2, 2, 2, 3, 3, 4]));
  const scope: Scope = { indices: axes, locals: [], volume: axes.reduce((n, a) => n * a.size.value, 1) };
  const target = grammar.fresh('v');
  if (rng.chance(0.15)) {
    const value = grammar.i32(scope, 3);
    grammar.define(target, axes, value.node, value);
  } else {
    const value = grammar.f32(scope, 4);
    grammar.define(target, axes, value.node, value);
  }
}

function readsIn(node: Node, found: Set<string> = new Set()): Set<string> {
  for (const part of node.parts) {
    if (typeof part !== 'string') readsIn(part, found);
    else if (/^v\d+\[$/.test(part)) found.add(part.slice(0, -1));
  }
  return found;
}
