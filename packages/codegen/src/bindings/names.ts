/** Names and texts of a manifest as a TypeScript module may hold them: any string is legal in, only legal TypeScript comes out. */
import type { SizeExpr } from '@espalier/artefact';

/** "master_leaf_fff" → "MasterLeafFff"; what can't stand in an identifier separates words. */
export function typeName(name: string): string {
  const words = name.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '');
  const joined = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
  return /^\p{L}/u.test(joined) ? joined : `Layer${joined}`;
}

/** A property name: bare where it is an identifier, quoted elsewhere. */
export const propertyName = (name: string): string => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : literal(name));

/** A string as a single-quoted literal. */
export const literal = (text: string): string =>
  `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;

/** Text that can't end the comment it stands in. */
export const commentText = (text: string): string => text.replaceAll('*/', '*\\/').replace(/\s+/g, ' ');

/** "[T, 2 * D + 1]". */
export const shapeText = (shape: readonly SizeExpr[]): string => `[${shape.map((s) => sizeText(s)).join(', ')}]`;

const LEVELS = { '+': 1, '-': 1, '*': 2 } as const;

function sizeText(size: SizeExpr, level = 0): string {
  if (!Array.isArray(size)) return String(size);
  const [op, left, right] = size as readonly [string, SizeExpr, SizeExpr];
  if (op !== '+' && op !== '-' && op !== '*') return `${op}(${sizeText(left)}, ${sizeText(right)})`;
  const own = LEVELS[op];
  const text = `${sizeText(left, own)} ${op} ${sizeText(right, op === '-' ? own + 1 : own)}`;
  return own < level ? `(${text})` : text;
}

/** JSON as a TypeScript literal: on one line where that fits, else a line for each member. */
export function valueText(value: unknown, indent = ''): string {
  if (typeof value === 'string') return literal(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const members = Array.isArray(value)
    ? value.map((element) => valueText(element, inner))
    : Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .map(([name, member]) => `${propertyName(name)}: ${valueText(member, inner)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  if (members.length === 0) return open + close;
  const space = open === '{' ? ' ' : '';
  const line = `${open}${space}${members.join(', ')}${space}${close}`;
  if (indent.length + line.length <= 110 && !line.includes('\n')) return line;
  return [open, ...members.map((member) => `${inner}${member},`), indent + close].join('\n');
}
