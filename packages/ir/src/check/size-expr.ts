/**
 * Sizes written as expressions: `2 * D`, `2^(depth + 1) - 1`. With all dims known they are numbers. In the generic check
 * a power of a dim becomes an opaque factor, split so that equal sizes stay equal: 2^(depth + 1) = 2 · 2^depth.
 */
import { suggest } from '../diagnostics/index.ts';
import type { Span } from '../layer-ir.ts';
import type { Size } from '../size.ts';
import * as Sizes from '../size.ts';
import type { ExprSyntax } from '../syntax/ast.ts';
import { printExpr, printNumber } from '../syntax/print.ts';
import { type Context, fail, silently } from './context.ts';

/** Sizes and element counts stay below this: indices are i32. */
export const largestSize = 2147483647;

const tooLarge = (context: Context, span: Span, value: number): never =>
  fail(context, 'E305', span, `a size of ${value} does not fit i32`, { help: `sizes go up to ${largestSize}` });

function checked(context: Context, span: Span, size: Size): Size {
  for (const term of size) if (Math.abs(term.coefficient) > largestSize) tooLarge(context, span, term.coefficient);
  return size;
}

/** A product, refused when it has more terms than anyone means. */
function times(context: Context, span: Span, a: Size, b: Size): Size {
  const degree = (s: Size): number => Math.max(0, ...s.map((t) => t.dims.length));
  if (a.length * b.length > 256 || degree(a) + degree(b) > 64) {
    fail(context, 'E413', span, 'this size has too many terms', { help: 'make it a dim of its own' });
  }
  return Sizes.multiply(a, b);
}

/** base^exponent where one of them holds a dim. Every term of the exponent becomes a factor of its own. */
function symbolicPower(context: Context, span: Span, base: Size, exponent: Size): Size {
  const wholeBase = Sizes.constantOf(base);
  const wholeExponent = Sizes.constantOf(exponent);
  if (wholeExponent !== null && wholeExponent >= 0 && wholeExponent <= 16) {
    return Array.from({ length: wholeExponent }).reduce<Size>(
      (power) => times(context, span, power, base),
      Sizes.constant(1),
    );
  }
  if (!context.generic) {
    const dims = Sizes.dimsOf([...base, ...exponent]);
    fail(context, 'E208', span, `a power needs ${listOf(dims)} at compile time`, {
      help: `give ${listOf(dims)} a value`,
    });
  }
  let out: Size = Sizes.constant(1);
  for (const term of exponent) {
    if (term.dims.length === 0 && wholeBase !== null) {
      // Halves may cancel later (2^(depth - 1) · 2), so the coefficient need not be whole.
      out = Sizes.multiply(out, Sizes.constant(wholeBase ** term.coefficient));
      continue;
    }
    const unit = Sizes.format([{ coefficient: 1, dims: term.dims }]);
    const shown = Sizes.format(base);
    const atom = Sizes.dim(`${wholeBase === null ? `(${shown})` : shown}^${term.dims.length > 1 ? `(${unit})` : unit}`);
    const copies = Math.abs(term.coefficient);
    if (term.coefficient < 0 || !Number.isInteger(copies) || copies > 16)
      return Sizes.dim(`(${shown})^(${Sizes.format(exponent)})`);
    out = Sizes.product([out, ...Array.from({ length: copies }, () => atom)]);
  }
  return out;
}

/** base^exponent as a size. */
export function powerOf(context: Context, span: Span, base: Size, exponent: Size): Size {
  const b = Sizes.constantOf(base);
  const e = Sizes.constantOf(exponent);
  if (b === null || e === null) return checked(context, span, symbolicPower(context, span, base, exponent));
  if (e < 0)
    fail(context, 'E408', span, `${b}^${e} is not a whole number`, { help: 'an exponent of sizes is 0 or more' });
  const value = b ** e;
  if (Math.abs(value) > largestSize) tooLarge(context, span, value);
  return Sizes.constant(value);
}

/** a // b or a % b as a size. */
function divided(context: Context, e: ExprSyntax & { kind: 'binary' }, a: Size, b: Size): Size {
  const x = Sizes.constantOf(a);
  const y = Sizes.constantOf(b);
  if (y === 0)
    fail(context, 'E407', e.right.span, `\`${printExpr(e.right)}\` is 0`, { help: 'sizes are divided by 1 or more' });
  if (x !== null && y !== null) return Sizes.constant(e.op === '//' ? Math.floor(x / y) : x - y * Math.floor(x / y));
  if (!context.generic) {
    const dims = listOf(Sizes.dimsOf([...a, ...b]));
    fail(context, 'E208', e.span, `dividing sizes needs ${dims} at compile time`, { help: `give ${dims} a value` });
  }
  return Sizes.dim(`((${Sizes.format(a)}) ${e.op} (${Sizes.format(b)}))`);
}

/** "`a`, `b` and `c`". */
export function listOf(names: readonly string[]): string {
  const quoted = names.map((n) => `\`${n}\``);
  return quoted.length <= 1 ? (quoted[0] ?? '') : `${quoted.slice(0, -1).join(', ')} and ${quoted.at(-1) ?? ''}`;
}

/**
 * The size that an expression means; only numbers, dims, lets and number options count. Reports E1xx for names, E306 for
 * anything else, E305 for values beyond i32. Negative intermediate values are fine.
 */
export function sizeOf(context: Context, e: ExprSyntax): Size {
  switch (e.kind) {
    case 'number':
      if (e.type === 'f32')
        fail(context, 'E306', e.span, `a size is a whole number, not ${printNumber(e.value, e.type)}`, {
          help: 'write a whole number; sizes are divided with `//`',
        });
      return Sizes.constant(e.value);
    case 'name': {
      const entry = context.entries.get(e.name);
      if (entry === undefined) return unknownSize(context, e.name, e.span);
      if (entry.kind === 'broken') return silently();
      if (entry.kind === 'size') return entry.size;
      if (entry.kind === 'option' && entry.value.kind === 'number' && entry.value.type === 'i32') {
        return Sizes.constant(entry.value.value);
      }
      const is =
        entry.kind === 'tensor'
          ? 'a tensor'
          : `${entry.value.kind === 'number' ? 'an f32' : `a ${entry.value.kind}`} option`;
      return fail(context, 'E306', e.span, `\`${e.name}\` is ${is}, not a size`, {
        labels: [{ span: entry.span, text: 'declared here' }],
        help: 'sizes are made of dims, `let`s, whole numbers and + - * // % ^',
      });
    }
    case 'unary':
      if (e.op === '-') return Sizes.negate(sizeOf(context, e.operand));
      break;
    case 'binary': {
      if (!['+', '-', '*', '^', '//', '%'].includes(e.op)) break;
      const a = sizeOf(context, e.left);
      const b = sizeOf(context, e.right);
      if (e.op === '+') return checked(context, e.span, Sizes.add(a, b));
      if (e.op === '-') return checked(context, e.span, Sizes.subtract(a, b));
      if (e.op === '*') {
        return checked(context, e.span, times(context, e.span, a, b));
      }
      return e.op === '^' ? powerOf(context, e.span, a, b) : checked(context, e.span, divided(context, e, a, b));
    }
    default:
  }
  return fail(context, 'E306', e.span, `\`${clip(printExpr(e))}\` is not a size`, {
    help:
      e.kind === 'binary' && e.op === '/'
        ? 'sizes are divided with `//`'
        : 'sizes are made of dims, `let`s, whole numbers and + - * // % ^',
  });
}

const clip = (text: string): string => (text.length > 40 ? `${text.slice(0, 37)}…` : text);

function unknownSize(context: Context, name: string, span: Span): never {
  const later = context.declared.get(name);
  if (later !== undefined) {
    fail(context, 'E104', span, `\`${name}\` is used before its definition`, {
      labels: [{ span: later, text: 'defined here' }],
      help: 'move the definition up',
    });
  }
  const sizes = [...context.entries].filter(([, e]) => e.kind === 'size').map(([n]) => n);
  return fail(context, 'E101', span, `no size is called \`${name}\``, { help: suggest(name, sizes, 'known sizes') });
}

/** Like sizeOf, for a size that something has: reports E305 when it is known to be negative or too large. */
export function extentOf(context: Context, e: ExprSyntax): Size {
  const size = sizeOf(context, e);
  const value = Sizes.constantOf(size);
  if (value !== null && value < 0)
    fail(context, 'E305', e.span, `\`${printExpr(e)}\` is ${value}; a size is 0 or more`, {
      help: 'give larger values to what it is made of',
    });
  return size;
}
