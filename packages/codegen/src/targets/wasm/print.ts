/**
 * Prints legalised kernels as WebAssembly text, folded, one function a kernel. Everything hard was done before; what is
 * left are tables. The module imports its memory; the runtime decides whether that is shared.
 */
import type { Expr, Kernel, KernelBuffer, KernelOp, Stmt, ValueType } from '../../kernel-ir/types.ts';
import { visitStatements } from '../../kernel-ir/walk.ts';
import type { Capabilities } from '../../target.ts';
import { pointerOf } from './legalise/addresses.ts';

/** How one operation is written for each type it exists on; null where legalise leaves none. */
interface Spelling {
  readonly f32: string | null;
  readonly i32: string | null;
  readonly bool: string | null;
  readonly f32x4: string | null;
  readonly i32x4: string | null;
  readonly boolx4: string | null;
}

const numbers = (f: string | null, i: string | null, fx4: string | null, ix4: string | null): Spelling => ({
  f32: f,
  i32: i,
  bool: null,
  f32x4: fx4,
  i32x4: ix4,
  boolx4: null,
});
const same = (name: string): Spelling => numbers(`f32.${name}`, `i32.${name}`, `f32x4.${name}`, `i32x4.${name}`);
const floats = (name: string): Spelling => numbers(`f32.${name}`, null, `f32x4.${name}`, null);
const ordered = (name: string): Spelling => numbers(`f32.${name}`, `i32.${name}_s`, `f32x4.${name}`, `i32x4.${name}_s`);
const integers = (scalar: string, vector: string | null): Spelling => numbers(null, `i32.${scalar}`, null, vector);
const logic = (name: string): Spelling => ({
  ...numbers(null, null, null, null),
  bool: `i32.${name}`,
  boolx4: `v128.${name}`,
});
const absent = numbers(null, null, null, null);

/** By the type of the first operand. */
const spellings: Readonly<Record<KernelOp, Spelling>> = {
  add: same('add'),
  sub: same('sub'),
  mul: same('mul'),
  div: floats('div'),
  floordiv: integers('div_s', null),
  mod: integers('rem_s', null),
  min: numbers('f32.min', null, 'f32x4.min', 'i32x4.min_s'),
  max: numbers('f32.max', null, 'f32x4.max', 'i32x4.max_s'),
  neg: numbers('f32.neg', null, 'f32x4.neg', 'i32x4.neg'),
  abs: numbers('f32.abs', null, 'f32x4.abs', 'i32x4.abs'),
  fma: absent, // printed apart: it depends on the capability
  sqrt: floats('sqrt'),
  exp: absent, // gone after expand-math
  ln: absent,
  tanh: absent,
  erf: absent,
  floor: floats('floor'),
  nearest: floats('nearest'),
  eq: { ...same('eq'), bool: 'i32.eq', boolx4: null },
  ne: { ...same('ne'), bool: 'i32.ne', boolx4: 'v128.xor' },
  lt: ordered('lt'),
  le: ordered('le'),
  gt: ordered('gt'),
  ge: ordered('ge'),
  and: logic('and'),
  or: logic('or'),
  not: { ...absent, bool: 'i32.eqz', boolx4: 'v128.not' },
  select: absent, // printed apart: its operands are of two types
  bit_and: integers('and', 'v128.and'),
  bit_or: integers('or', 'v128.or'),
  bit_xor: integers('xor', 'v128.xor'),
  shl: integers('shl', 'i32x4.shl'),
  shr_s: integers('shr_s', 'i32x4.shr_s'),
  shr_u: integers('shr_u', 'i32x4.shr_u'),
  dot_i16: { ...absent, i32x4: 'i32x4.dot_i16x8_s' }, // of scalars legalise makes none
  bits_of: numbers('i32.reinterpret_f32', null, '', null),
  from_bits: numbers(null, 'f32.reinterpret_i32', null, ''),
  to_f32: { ...numbers(null, 'f32.convert_i32_s', null, 'f32x4.convert_i32x4_s'), bool: 'f32.convert_i32_u' },
  to_i32: { ...numbers('i32.trunc_sat_f32_s', null, 'i32x4.trunc_sat_f32x4_s', null), bool: '' },
};

const shapeOf = (t: ValueType): keyof Spelling => (t.lanes === 4 ? `${t.scalar}x4` : t.scalar);
const wasmType = (t: ValueType): string => (t.lanes === 4 ? 'v128' : t.scalar === 'f32' ? 'f32' : 'i32');

function number(value: number, type: ValueType): string {
  if (type.scalar !== 'f32') return String(Math.trunc(value));
  const f = Math.fround(value);
  if (Number.isNaN(f)) return 'nan';
  if (!Number.isFinite(f)) return f > 0 ? 'inf' : '-inf';
  return Object.is(f, -0) ? '-0' : String(f);
}

interface Context {
  readonly buffers: ReadonlyMap<string, KernelBuffer>;
  readonly relaxed: boolean;
}

function print(e: Expr, c: Context): string {
  switch (e.kind) {
    case 'literal':
      return `(${wasmType(e.type)}.const ${number(e.value, e.type)})`;
    case 'ref':
      return `(local.get $${e.name})`;
    case 'dim':
      return `(local.get $dim.${e.name})`;
    case 'load':
      return printLoad(e, c);
    case 'op':
      return printOp(e, c);
    case 'splat':
      return printSplat(e, c);
    case 'lanes':
      return printLanes(e, c);
    case 'extract':
      return `(${e.type.scalar === 'f32' ? 'f32x4' : 'i32x4'}.extract_lane ${e.lane} ${print(e.value, c)})`;
    case 'builtin':
    case 'fold':
    case 'subgroup_fold':
    case 'shuffle':
      throw new Error(`legalise left ${e.kind}`);
  }
}

const offset = (bytes: number): string => (bytes === 0 ? '' : ` offset=${bytes}`);

function printLoad(e: Extract<Expr, { kind: 'load' }>, c: Context): string {
  const storage = c.buffers.get(e.buffer)?.storage ?? 'f32';
  const at = `${offset(e.offset)} ${print(e.indices[0] as Expr, c)}`;
  const wide = e.type.lanes === 4;
  switch (storage) {
    case 'f32':
    case 'i32':
      return wide ? `(v128.load${at})` : `(${e.type.scalar === 'f32' ? 'f32' : 'i32'}.load${at})`;
    case 'f16':
      // As bits, the sign's repeated above: what the widening wants.
      return wide ? `(v128.load16x4_s${at})` : `(i32.load16_s${at})`;
    case 'f16x2':
      return wide ? `(v128.load${at})` : `(i32.load16_s${at})`;
    case 'i8':
      return wide
        ? `(i32x4.extend_low_i16x8_s (i16x8.extend_low_i8x16_s (v128.load32_zero${at})))`
        : `(i32.load8_s${at})`;
    case 'bf16':
    case 'tf32':
      throw new Error(`${e.buffer}: WebAssembly has no matrix units`);
  }
}

function printOp(e: Extract<Expr, { kind: 'op' }>, c: Context): string {
  const args = e.args.map((a) => print(a, c));
  if (e.op === 'fma') {
    if (e.type.lanes === 4 && c.relaxed) return `(f32x4.relaxed_madd ${args.join(' ')})`;
    // There is no scalar instruction, but a loop's tail must round as its vectors do.
    if (c.relaxed)
      return `(f32x4.extract_lane 0 (f32x4.relaxed_madd ${args.map((a) => `(f32x4.splat ${a})`).join(' ')}))`;
    const shape = e.type.lanes === 4 ? 'f32x4' : 'f32';
    return `(${shape}.add (${shape}.mul ${args[0]} ${args[1]}) ${args[2]})`;
  }
  if (e.op === 'select') {
    const [condition, then, otherwise] = args;
    // A mask has all bits of a lane set or none.
    if (e.type.lanes === 4 && isZero(e.args[2] as Expr)) return `(v128.and ${then} ${condition})`;
    return e.type.lanes === 4
      ? `(v128.bitselect ${then} ${otherwise} ${condition})`
      : `(select ${then} ${otherwise} ${condition})`;
  }
  const first = e.args[0] as Expr;
  const spelling = spellings[e.op][shapeOf(first.type)];
  if (spelling === null) throw new Error(`legalise left ${e.op} on ${shapeOf(first.type)}`);
  if (spelling === '') return args[0] as string;
  // Vector shifts take one scalar count.
  if (e.type.lanes === 4 && (e.op === 'shl' || e.op === 'shr_s' || e.op === 'shr_u')) {
    const count = e.args[1] as Expr;
    if (count.kind !== 'splat') throw new Error('vector shift by different counts');
    return `(${spelling} ${args[0]} ${print(count.value, c)})`;
  }
  return `(${spelling} ${args.join(' ')})`;
}

/** All bits zero in all lanes. */
const isZero = (e: Expr): boolean => e.kind === 'splat' && e.value.kind === 'literal' && Object.is(e.value.value, 0);

function printSplat(e: Extract<Expr, { kind: 'splat' }>, c: Context): string {
  const { value } = e;
  if (value.kind === 'literal') {
    const text = value.type.scalar === 'bool' ? (value.value === 0 ? '0' : '-1') : number(value.value, value.type);
    return `(v128.const ${value.type.scalar === 'f32' ? 'f32x4' : 'i32x4'} ${[text, text, text, text].join(' ')})`;
  }
  const storage = value.kind === 'load' ? c.buffers.get(value.buffer)?.storage : undefined;
  if (value.kind === 'load' && (storage === 'f32' || storage === 'i32')) {
    return `(v128.load32_splat${offset(value.offset)} ${print(value.indices[0] as Expr, c)})`;
  }
  // A mask has all bits of a lane set.
  if (value.type.scalar === 'bool') return `(i32x4.splat (i32.sub (i32.const 0) ${print(value, c)}))`;
  return `(${value.type.scalar === 'f32' ? 'f32x4' : 'i32x4'}.splat ${print(value, c)})`;
}

function printLanes(e: Extract<Expr, { kind: 'lanes' }>, c: Context): string {
  const shape = e.type.scalar === 'f32' ? 'f32x4' : 'i32x4';
  if (e.elements.every((x) => x.kind === 'literal')) {
    return `(v128.const ${shape} ${e.elements.map((x) => (x.kind === 'literal' ? number(x.value, x.type) : '')).join(' ')})`;
  }
  return e.elements
    .slice(1)
    .reduce(
      (vector, x, i) => `(${shape}.replace_lane ${i + 1} ${vector} ${print(x, c)})`,
      `(${shape}.splat ${print(e.elements[0] as Expr, c)})`,
    );
}

/** Writes statements; labels of blocks are numbered. */
class Writer {
  readonly lines: string[] = [];
  readonly #context: Context;
  #loops = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  block(body: readonly Stmt[], indent: string): void {
    for (const s of body) this.statement(s, indent);
  }

  private line(indent: string, text: string): void {
    this.lines.push(indent + text);
  }

  private print(e: Expr): string {
    return print(e, this.#context);
  }

  private statement(s: Stmt, indent: string): void {
    switch (s.kind) {
      case 'for':
        this.loop(s, indent);
        return;
      case 'if':
        this.line(indent, `(if ${this.print(s.condition)}`);
        this.line(indent, '  (then');
        this.block(s.then, `${indent}    `);
        this.line(indent, '  )');
        if (s.otherwise.length > 0) {
          this.line(indent, '  (else');
          this.block(s.otherwise, `${indent}    `);
          this.line(indent, '  )');
        }
        this.line(indent, ')');
        return;
      case 'let':
      case 'assign':
        this.line(indent, `(local.set $${s.name} ${this.print(s.value)})`);
        return;
      case 'var':
        this.line(indent, `(local.set $${s.name} ${this.print(s.init)})`);
        return;
      case 'store': {
        const name =
          s.value.type.lanes === 4 ? 'v128.store' : s.value.type.scalar === 'f32' ? 'f32.store' : 'i32.store';
        this.line(indent, `(${name}${offset(s.offset)} ${this.print(s.indices[0] as Expr)} ${this.print(s.value)})`);
        return;
      }
      case 'touch':
        // A byte of it is enough. What a load may find out of bounds an engine must not leave out, so it is done.
        this.line(indent, `(drop (i32.load8_u${offset(s.offset)} ${this.print(s.indices[0] as Expr)}))`);
        return;
      case 'check':
        this.line(
          indent,
          `(if (i32.eqz ${this.print(s.condition)}) (then (i32.store (local.get $.status) (i32.const ${s.fault}))))`,
        );
        return;
      case 'comment':
        this.line(indent, `;; ${s.text}`);
        return;
      case 'barrier':
      case 'fragment':
      case 'mma':
        throw new Error(`legalise left ${s.kind}`);
    }
  }

  private loop(s: Extract<Stmt, { kind: 'for' }>, indent: string): void {
    const grid = s.binding === 'grid';
    const from = grid ? '(local.get $.begin)' : this.print(s.from);
    const known = !grid && s.from.kind === 'literal' && s.to.kind === 'literal';
    if (known && s.from.kind === 'literal' && s.to.kind === 'literal' && s.to.value <= s.from.value) return;
    const end = grid ? '(local.get $.end)' : s.to.kind === 'literal' ? this.print(s.to) : `(local.get $${s.index}.end)`;
    if (!grid && s.to.kind !== 'literal') this.line(indent, `(local.set $${s.index}.end ${this.print(s.to)})`);
    this.line(indent, `(local.set $${s.index} ${from})`);
    const again = `(i32.lt_s (local.get $${s.index}) ${end})`;
    const label = `$l${this.#loops++}`;
    const inner = known ? indent : `${indent}  `;
    if (!known) this.line(indent, `(if ${again} (then`);
    this.line(inner, `(loop ${label} ;; ${s.label}`);
    this.block(s.body, `${inner}  `);
    this.line(inner, `  (local.set $${s.index} (i32.add (local.get $${s.index}) (i32.const ${s.step})))`);
    this.line(inner, `  (br_if ${label} ${again})`);
    this.line(inner, ')');
    if (!known) this.line(indent, '))');
  }
}

/** Several to a line. */
function wrapped(items: readonly string[]): readonly string[] {
  const lines: string[] = [];
  for (const item of items) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + item.length < 116) lines[lines.length - 1] = `${last} ${item}`;
    else lines.push(`    ${item}`);
  }
  return lines;
}

function printKernel(kernel: Kernel, relaxed: boolean): readonly string[] {
  const context = { buffers: new Map(kernel.buffers.map((b) => [b.name, b])), relaxed };
  const writer = new Writer(context);
  writer.block(kernel.body, '    ');
  const bound = kernel.buffers.filter((b) => b.space === 'global').map((b) => pointerOf(b.name));
  const params = ['.begin', '.end', ...bound, ...kernel.dims.map((d) => `dim.${d}`), '.scratch', '.status'];
  const locals = new Map<string, string>();
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'for') {
      locals.set(s.index, 'i32');
      if (s.binding !== 'grid' && s.to.kind !== 'literal') locals.set(`${s.index}.end`, 'i32');
    } else if (s.kind === 'let') locals.set(s.name, wasmType(s.value.type));
    else if (s.kind === 'var') locals.set(s.name, wasmType(s.type));
  });
  return [
    `  ;; ${kernel.label}`,
    `  (func (export "${kernel.name}")`,
    ...wrapped(params.map((p) => `(param $${p} i32)`)),
    ...wrapped([...locals].map(([name, type]) => `(local $${name} ${type})`)),
    ...writer.lines,
    '  )',
  ];
}

/** The module of a layer's kernels. */
export function printModule(kernels: readonly Kernel[], header: readonly string[], capabilities: Capabilities): string {
  const relaxed = capabilities['relaxed-simd'] === true;
  return [
    ...header.map((line) => `;; ${line}`),
    '(module',
    '  (import "env" "memory" (memory 0 65536))',
    ...kernels.flatMap((kernel) => printKernel(kernel, relaxed)),
    ')',
    '',
  ].join('\n');
}
