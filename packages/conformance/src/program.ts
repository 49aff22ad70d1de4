/**
 * A random program: a layer as text with its dims and data, kept as a small tree so that it can be made smaller.
 *
 * A tree node is a piece of text with typed holes. Whatever can stand in a hole is text of the same type, so a program
 * shrinks by putting a part of an expression, or a literal, in the expression's place; that the result is still a legal
 * layer is for the checker to say, not for the shrinker to know.
 */
import type { StorageType } from '@espalier/ir';
import type { Tensors } from './layer-case.ts';
import { halfBits, uniform } from './random.ts';

export type NodeType = 'f32' | 'i32' | 'bool';

/** An expression: text, with expressions in it. */
export interface Node {
  readonly type: NodeType;
  readonly parts: readonly (string | Node)[];
}

export interface ProgramDim {
  readonly name: string;
  readonly value: number;
  /** Known only when it runs. */
  readonly runtime: boolean;
}

export interface ProgramTensor {
  readonly name: string;
  readonly role: 'input' | 'weight';
  readonly storage: StorageType;
  /** Sizes as texts: a dim, a number. */
  readonly shape: readonly string[];
  /** f32 and f16: multiples of 1/16 in −1 … 1, so that short sums of products are exact whatever their order. */
  readonly exact: boolean;
  /** i32: values from the first, below the second. */
  readonly integers: readonly [number, number];
}

export interface ProgramStatement {
  readonly target: string;
  readonly output: boolean;
  readonly axes: readonly { readonly name: string; readonly size: string }[];
  readonly value: Node;
}

export interface Program {
  readonly dims: readonly ProgramDim[];
  readonly tensors: readonly ProgramTensor[];
  readonly statements: readonly ProgramStatement[];
  /** Seed of inputs and weights. */
  readonly data: number;
}

/** The text of an expression. */
export const printNode = (node: Node): string =>
  node.parts.map((p) => (typeof p === 'string' ? p : printNode(p))).join('');

const mentions = (text: string, name: string): boolean => new RegExp(`\\b${name}\\b`).test(text);

/** The layer as text. Tensors that nothing reads are left out; so are unused dims. The last statement is an output. */
export function printProgram(program: Program): string {
  const statements = program.statements.map((s, i) => {
    const output = s.output || i === program.statements.length - 1 ? 'output ' : '';
    return `  ${output}${s.target}[${s.axes.map((a) => `${a.name} in ${a.size}`).join(', ')}] = ${printNode(s.value)}`;
  });
  const body = statements.join('\n');
  const tensors = program.tensors
    .filter((t) => mentions(body, t.name))
    .map((t) => `  ${t.role} ${t.name}[${t.shape.join(', ')}]${t.storage === 'f32' ? '' : `: ${t.storage}`}`);
  const text = [...tensors, ...statements].join('\n');
  const dims = program.dims.map((d) => d.name).filter((name) => mentions(text, name));
  return `layer program(${dims.join(', ')}) {\n${text}\n}\n`;
}

/** Inputs and weights of the given element counts. A tensor's data depend on nothing but the seed and its name. */
export function programData(program: Program, lengths: ReadonlyMap<string, number>): Tensors {
  const data: Record<string, Float32Array | Int32Array | Uint16Array | Int8Array> = {};
  for (const t of program.tensors) {
    const length = lengths.get(t.name);
    if (length === undefined) continue;
    let hash = program.data;
    for (const c of t.name) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193);
    const next = uniform(hash);
    const real = (): number => (t.exact ? (Math.floor(next() * 33) - 16) / 16 : next() * 2 - 1);
    const [low, high] = t.integers;
    if (t.storage === 'f32') data[t.name] = Float32Array.from({ length }, real);
    else if (t.storage === 'f16') data[t.name] = Uint16Array.from({ length }, () => halfBits(real()));
    else if (t.storage === 'i8') data[t.name] = Int8Array.from({ length }, () => Math.floor(next() * 255) - 127);
    else data[t.name] = Int32Array.from({ length }, () => low + Math.floor(next() * (high - low)));
  }
  return data;
}

const simplest: Readonly<Record<NodeType, readonly string[]>> = {
  f32: ['0.5', '1.0'],
  i32: ['0', '1'],
  bool: ['true', 'false'],
};

/** Smaller programs, the boldest cut first. Not all of them are legal. */
export function* smaller(program: Program): Generator<Program> {
  const { statements } = program;
  // The program up to a statement, then without one.
  for (let i = 0; i < statements.length - 1; i++) yield { ...program, statements: statements.slice(0, i + 1) };
  for (let i = 0; i < statements.length - 1; i++) {
    yield { ...program, statements: statements.filter((_, j) => j !== i) };
    const target = statements[i]?.target ?? '';
    const replaced = statements.map((s) => ({ ...s, value: withoutReads(s.value, target) }));
    yield { ...program, statements: replaced.filter((_, j) => j !== i) };
  }
  for (const [i, s] of statements.entries()) {
    for (const value of smallerNodes(s.value)) {
      yield { ...program, statements: statements.map((t, j) => (j === i ? { ...s, value } : t)) };
    }
    if (s.output && i < statements.length - 1)
      yield { ...program, statements: statements.map((t, j) => (j === i ? { ...s, output: false } : t)) };
  }
  for (const [i, d] of program.dims.entries()) {
    const change = (next: ProgramDim): Program => ({
      ...program,
      dims: program.dims.map((x, j) => (j === i ? next : x)),
    });
    for (const value of new Set([1, 2, 3, Math.floor(d.value / 2), d.value - 1]))
      if (value >= 1 && value < d.value) yield change({ ...d, value });
    if (d.runtime) yield change({ ...d, runtime: false });
  }
  for (const [i, s] of statements.entries()) {
    for (const [a, axis] of s.axes.entries()) {
      if (axis.size === '1') continue;
      const axes = s.axes.map((x, j) => (j === a ? { ...x, size: '1' } : x));
      yield { ...program, statements: statements.map((t, j) => (j === i ? { ...s, axes } : t)) };
    }
  }
}

function* smallerNodes(node: Node): Generator<Node> {
  const text = printNode(node);
  for (const literal of simplest[node.type])
    if (text.length > literal.length) yield { type: node.type, parts: [literal] };
  yield* descendants(node, node.type, 3);
  for (const [i, part] of node.parts.entries()) {
    if (typeof part === 'string') continue;
    for (const less of smallerNodes(part)) yield { ...node, parts: node.parts.map((p, j) => (j === i ? less : p)) };
  }
}

/** Expressions of a type inside another, down to a depth; the deepest first, for it is the smallest. */
function* descendants(node: Node, type: NodeType, depth: number): Generator<Node> {
  for (const part of node.parts) {
    if (typeof part === 'string') continue;
    if (depth > 1) yield* descendants(part, type, depth - 1);
    if (part.type === type) yield part;
  }
}

function withoutReads(node: Node, tensor: string): Node {
  if (node.parts[0] === `${tensor}[`) return { type: node.type, parts: [simplest[node.type][0] as string] };
  return { ...node, parts: node.parts.map((p) => (typeof p === 'string' ? p : withoutReads(p, tensor))) };
}
