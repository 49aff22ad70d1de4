/** Random walks: trees of two and three children, several trees, and pointers into a ring; with yields or a result. */
import { access, type Grammar } from './grammar.ts';
import type { Node } from './program.ts';
import { node, type Scope, type SizeText, type Value } from './values.ts';

/** The nodes of a whole tree. */
const treeSize = (arity: number, levels: number): number =>
  Array.from({ length: levels }, (_, l) => arity ** l).reduce((a, b) => a + b, 0);

interface Walk {
  readonly node: string;
  readonly score: string;
  readonly levels: number;
  readonly nodes: SizeText;
  readonly arity: number;
  readonly inside: Scope;
}

/** A walk down a tree whose visited nodes yield; summed over several trees half of the time. */
export function descend(grammar: Grammar, scope: Scope): Value {
  const { rng } = grammar;
  const trees = rng.chance(0.5) ? grammar.number(1 + rng.int(4)) : null;
  const tree = trees === null ? null : grammar.indexName([...scope.indices, ...scope.locals]);
  const around: Scope =
    tree === null || trees === null
      ? scope
      : { ...scope, indices: [...scope.indices, { name: tree, size: trees }], volume: scope.volume * trees.value };
  const walk = begin(grammar, around);
  if (walk === null) return grammar.leaf(scope);
  const score = scoreOf(grammar, walk, tree, trees);
  const yielded = grammar.tame(yieldOf(grammar, walk, tree, trees), 4);
  const steps: (string | Node)[] = [`descend ${walk.node} = 0 for ${walk.levels} { ${walk.score} = `, score, '; '];
  steps.push('yield ', yielded.node, '; ', `${walk.node} <- `, nextOf(grammar, walk), ' }');
  const body = node('f32', '(', ...steps, ')');
  const magnitude = yielded.magnitude * Math.max(1, walk.levels);
  if (tree === null || trees === null) return { node: body, magnitude };
  return { node: node('f32', `(sum ${tree} in ${trees.text}: `, body, ')'), magnitude: magnitude * trees.value };
}

function begin(grammar: Grammar, scope: Scope): Walk | null {
  const { rng } = grammar;
  if (scope.volume > 3000) return null;
  const arity = rng.chance(0.7) ? 2 : 3;
  const levels = rng.int(arity === 2 ? 5 : 4);
  const nodes = grammar.number(Math.max(1, treeSize(arity, levels)));
  const name = grammar.fresh('n');
  const score = grammar.fresh('s');
  const n: Value = { node: node('i32', name), magnitude: nodes.value };
  // The node counts as an index over the nodes, so that ordinary accesses come to be by node.
  const inside: Scope = {
    indices: [...scope.indices, { name, size: nodes }],
    locals: [...scope.locals, { name, value: n }],
    volume: scope.volume * Math.max(1, levels),
  };
  return { node: name, score, levels, nodes, arity, inside };
}

function scoreOf(grammar: Grammar, walk: Walk, tree: string | null, trees: SizeText | null): Node {
  const opened = grammar.open(walk.inside, 1);
  if (opened === null || grammar.rng.chance(0.25)) return grammar.jumping(walk.inside, 2).node;
  const index = opened.scope.indices.at(-1) as Scope['indices'][number];
  const own = tree === null || trees === null || grammar.rng.chance(0.2) ? [] : [{ name: tree, size: trees }];
  const w = grammar.tensor([...own.map((o) => o.size), walk.nodes, index.size], {
    exact: true,
    ...(index.size.fixed ? { role: 'weight' } : {}),
  });
  const at = access(
    w.name,
    [...own.map((o) => node('i32', o.name)), node('i32', walk.node), node('i32', index.name)],
    'f32',
  );
  return node(
    'f32',
    `((sum ${opened.binders}: `,
    node('f32', grammar.exactLeaf(opened.scope), ' * ', at),
    ') + 0.03125)',
  );
}

function yieldOf(grammar: Grammar, walk: Walk, tree: string | null, trees: SizeText | null): Value {
  const { rng } = grammar;
  const score: Value = { node: node('f32', walk.score), magnitude: 64 };
  const inside: Scope = { ...walk.inside, locals: [...walk.inside.locals, { name: walk.score, value: score }] };
  if (rng.chance(0.3)) return grammar.f32(inside, 2);
  // As a tree of neurons does: an activation of the score times a row of the node.
  const free = walk.inside.indices.filter((i) => i.name !== walk.node && i.name !== tree);
  const along = free.length === 0 ? [] : [rng.pick(free)];
  const own = tree === null || trees === null ? [] : [{ name: tree, size: trees }];
  const w = grammar.tensor([...own.map((o) => o.size), walk.nodes, ...along.map((a) => a.size)]);
  const at = access(
    w.name,
    [...own, { name: walk.node }, ...along].map((i) => node('i32', i.name)),
    'f32',
  );
  const activated = grammar.tame(score, 4);
  return {
    node: node('f32', `${rng.pick(['gelu', 'relu', 'tanh', 'silu'])}(`, activated.node, ') * ', at),
    magnitude: 5,
  };
}

function nextOf(grammar: Grammar, walk: Walk): Node {
  const { rng } = grammar;
  const s = node('f32', walk.score);
  const threshold = rng.pick(['0.0', '0.25', '(-0.5)']);
  const right = node('i32', 'i32(', node('bool', s, rng.pick([' > ', ' >= ', ' < ']), threshold), ')');
  if (walk.arity === 2) return node('i32', `2 * ${walk.node} + 1 + `, right);
  return node('i32', `3 * ${walk.node} + 1 + `, right, ' + i32(', node('bool', s, ' > ', '0.75'), ')');
}

/** A walk that ends in a number: the leaf of a tree, or where pointers in a ring led. */
export function pointerWalk(grammar: Grammar, scope: Scope): Value {
  const { rng } = grammar;
  const walk = begin(grammar, scope);
  if (walk === null) return { node: node('i32', '0'), magnitude: 0 };
  const score = scoreOf(grammar, walk, null, null);
  const open = `(descend ${walk.node} = 0 for ${walk.levels} { ${walk.score} = `;
  if (rng.chance(0.5)) {
    const next = nextOf(grammar, walk);
    const first = treeSize(walk.arity, walk.levels);
    const whole = node('i32', open, score, `; ${walk.node} <- `, next, ` } return ${walk.node} - ${first})`);
    return { node: whole, magnitude: walk.arity ** walk.levels };
  }
  const side = node('i32', 'i32(', node('bool', node('f32', walk.score), ' > 0.0'), ')');
  if (rng.chance(0.5)) {
    const step = node('i32', `(3 * ${walk.node} + 1 + `, side, `) % ${walk.nodes.text}`);
    return {
      node: node('i32', open, score, `; ${walk.node} <- `, step, ` } return ${walk.node})`),
      magnitude: walk.nodes.value,
    };
  }
  // Children by data: nothing proves them, the run checks them.
  const child = grammar.tensor([walk.nodes, grammar.number(2)], { integers: [0, walk.nodes.value], role: 'weight' });
  const step = access(child.name, [node('i32', walk.node), side], 'i32');
  return {
    node: node('i32', open, score, `; ${walk.node} <- `, step, ` } return ${walk.node})`),
    magnitude: walk.nodes.value,
  };
}
