/**
 * Prints legalised kernels as CUDA C++ for nvcc and NVRTC: standalone, no headers. Blocks are workgroups, warps subgroups,
 * threads lanes. Helper functions come first, those that are called and no others.
 */
import { Sizes } from '@espalier/ir';
import { affine, residue } from '../../kernel-ir/affine.ts';
import * as k from '../../kernel-ir/build.ts';
import { multiplesIn } from '../../kernel-ir/multiples.ts';
import { nonNegativeIn } from '../../kernel-ir/sign.ts';
import type { Expr, Kernel, KernelBuffer, KernelStorage, Stmt, ValueType } from '../../kernel-ir/types.ts';
import { expressionsOf, visitExpr, visitExpressions, visitStatements } from '../../kernel-ir/walk.ts';
import {
  BINDS,
  type Counting,
  call,
  comment,
  type Dialect,
  infix,
  prefix,
  primary,
  printBlock,
  printExpr,
  type Text,
} from '../../print/c-family.ts';
import type { Capabilities } from '../../target.ts';
import { WARP } from './capabilities.ts';
import { matrixHelpers } from './fragments.ts';
import { Preamble } from './helper.ts';
import { writeLiteral, writeMask } from './literals.ts';
import { Identifiers } from './names.ts';
import { member, typeName, writeFold, writeOp, writeVectorOp, writeWarpFold } from './ops.ts';
import { dataIn } from './overflow.ts';
import { helpers } from './preamble.ts';
import { MatrixPrinter } from './print-matrix.ts';

type Of<K extends Expr['kind']> = Extract<Expr, { kind: K }>;
type StmtOf<K extends Stmt['kind']> = Extract<Stmt, { kind: K }>;

const elementTypes: Readonly<Record<KernelStorage, string>> = {
  f32: 'float',
  i32: 'int',
  f16: 'unsigned short',
  i8: 'signed char',
  bf16: 'unsigned short',
  tf32: 'float',
  f16x2: 'unsigned short',
};

/** Storages whose elements are another number than the float that is stored, and what rounds one. */
const rounders: Readonly<Partial<Record<KernelStorage, string>>> = {
  f16: 'f32_to_f16',
  bf16: 'f32_to_bf16',
  tf32: 'f32_to_tf32',
};

/** Loops of at most so many iterations that index registers are written out: an array that is indexed has none. */
const UNROLLED = 16;

/** CUDA's answers for one kernel. */
class CudaDialect implements Dialect {
  readonly dealt: Dialect['dealt'];
  /** Lines that the kernel begins with, made as they turn out to be needed. */
  readonly #builtins = new Map<string, string>();
  readonly #kernel: Kernel;
  readonly #preamble: Preamble;
  readonly #identifiers: Identifiers;
  readonly #buffers: ReadonlyMap<string, KernelBuffer>;
  readonly #matrix: MatrixPrinter;
  readonly #isData: (e: Expr) => boolean;
  readonly #isNonNegative: (e: Expr) => boolean;
  readonly #multiples: ReadonlyMap<string, number>;
  #status: string | null = null;

  constructor(kernel: Kernel, preamble: Preamble) {
    this.#kernel = kernel;
    this.#preamble = preamble;
    this.#identifiers = new Identifiers(kernel);
    this.#buffers = new Map(kernel.buffers.map((b) => [b.name, b]));
    this.#matrix = new MatrixPrinter(kernel, preamble, {
      name: (name) => this.name(name),
      buffer: (name) => this.buffer(name),
      address: (b, at) => this.address(b, printExpr(at, this, true)),
      print: (e) => printExpr(e, this),
      isMultiple: (e, n) => residue(affine(e), n, this.#multiples) === 0,
    });
    this.#isData = dataIn(kernel);
    const sure = nonNegativeIn(kernel);
    this.#isNonNegative = (e) => sure(affine(e));
    this.#multiples = multiplesIn(kernel.body);
    this.dealt = { lane: this.lanesOfSubgroup, subgroup: kernel.workgroup?.subgroups ?? 1 };
  }

  get lanesOfSubgroup(): number {
    return this.#kernel.workgroup?.lanes ?? 1;
  }

  name(name: string): string {
    return this.#identifiers.of(name);
  }

  /** The parameter that faults are written to. */
  get status(): string {
    this.#status ??= this.#identifiers.fresh('status');
    return this.#status;
  }

  literal(e: Of<'literal'>): Text {
    return writeLiteral(e.value, e.type.scalar);
  }

  builtin(which: Of<'builtin'>['which']): Text {
    const known = this.#builtins.get(which) ?? this.#identifiers.fresh(which);
    this.#builtins.set(which, known);
    return primary(known);
  }

  load(e: Of<'load'>, index: Text): Text {
    const b = this.buffer(e.buffer);
    const half = b.storage === 'f16' && e.type.scalar === 'f32';
    if (e.passes === true && isPlain(b) && (e.type.lanes === 1 || this.isRun(b, e.indices, e.offset, e.type.lanes)))
      return call(this.#preamble.use(`pass${e.type.lanes}`), this.address(b, index));
    if (e.type.lanes === 1) {
      const element = primary(`${this.name(b.name)}[${index.text}]`);
      if (half) return call(this.#preamble.use('f16_to_f32'), element);
      return b.storage === 'f32' || b.storage === 'i32' ? element : prefix('(int)', element);
    }
    const whole = this.isRun(b, e.indices, e.offset, e.type.lanes);
    const name = half ? (whole ? 'f16_load' : 'f16_each') : whole ? 'load' : 'each';
    return call(this.#preamble.use(`${name}${e.type.lanes}`), this.address(b, index));
  }

  store(s: StmtOf<'store'>, index: Text, value: Text): string {
    const b = this.buffer(s.buffer);
    const { lanes } = s.value.type;
    if (s.passes === true && isPlain(b) && (lanes === 1 || this.isRun(b, s.indices, s.offset, lanes)))
      return `${call(this.#preamble.use(`put_by${lanes}`), this.address(b, index), value).text};`;
    const rounder = s.value.type.scalar === 'f32' ? rounders[b.storage] : undefined;
    if (lanes === 1) {
      const converted =
        rounder !== undefined
          ? call(this.#preamble.use(rounder), value)
          : b.storage === 'f32' || b.storage === 'i32'
            ? value
            : prefix(`(${elementTypes[b.storage]})`, value);
      return `${this.name(b.name)}[${index.text}] = ${converted.text};`;
    }
    const how = this.isRun(b, s.indices, s.offset, lanes) ? 'store' : 'put';
    const name = rounder === undefined ? how : `${b.storage}_${how}`;
    return `${call(this.#preamble.use(`${name}${lanes}`), this.address(b, index), value).text};`;
  }

  op(e: Of<'op'>, args: readonly Text[], address: boolean): Text {
    const first = e.args[0] as Expr;
    if (e.type.lanes > 1)
      return writeVectorOp(
        e.op,
        args,
        e.args.map((a) => a.type),
        e.type,
        this.#preamble,
      );
    const integer = first.type.scalar === 'i32';
    const divides = e.op === 'floordiv' || e.op === 'mod';
    const operands = e.op.startsWith('bit_') ? args.map((a, i) => asMask(e.args[i], a)) : args;
    return writeOp(e.op, first.type.scalar, operands, {
      preamble: this.#preamble,
      wraps: integer && !address && this.#isData(e),
      nonNegative: divides && this.#isNonNegative(first),
      nested: false,
    });
  }

  splat(e: Of<'splat'>, value: Text): Text {
    if (e.type.scalar === 'bool') return this.vector(e.type, new Array<Text>(e.type.lanes).fill(value));
    return call(this.#preamble.use(`splat${e.type.lanes}`), value);
  }

  lanes(e: Of<'lanes'>, elements: readonly Text[]): Text {
    return this.vector(e.type, elements);
  }

  extract(e: Of<'extract'>, value: Text): Text {
    return primary(`${value.binds === BINDS.primary ? value.text : `(${value.text})`}.${member(e.lane)}`);
  }

  fold(e: Of<'fold'>, value: Text): Text {
    return writeFold(e.op, value, e.value.type, this.#preamble);
  }

  subgroupFold(e: Of<'subgroup_fold'>, value: Text): Text {
    if (this.lanesOfSubgroup === 1) return value;
    return this.eachElement(e.type, value, (x) => writeWarpFold(e.op, x, e.type.scalar, this.#preamble));
  }

  shuffle(e: Of<'shuffle'>, value: Text, lane: Text): Text {
    if (this.lanesOfSubgroup === 1) return value;
    const name = e.mode === 'index' ? '__shfl_sync' : '__shfl_xor_sync';
    const isBool = e.type.scalar === 'bool';
    return this.eachElement(e.type, value, (x) => {
      const moved = call(name, primary('0xffffffffu'), isBool ? prefix('(int)', x) : x, lane);
      return isBool ? prefix('(bool)', moved) : moved;
    });
  }

  declare(fixed: boolean, type: ValueType, name: string, value: Text): string {
    return `${fixed ? 'const ' : ''}${typeName(type, this.#preamble)} ${name} = ${value.text};`;
  }

  workgroup(): Text {
    return primary('(int)blockIdx.x');
  }

  counting({ loop, from, to, by, keep }: Counting): readonly string[] {
    const index = this.name(loop.index);
    const kept = this.#identifiers.fresh(`${loop.index}_end`);
    const start = keep ? `${index} = ${from.text}, ${kept} = ${to.text}` : `${index} = ${from.text}`;
    const end = keep ? kept : to.binds > BINDS.order ? to.text : `(${to.text})`;
    const step = by.text === '1' ? `++${index}` : `${index} += ${by.text}`;
    const head = `for (int ${start}; ${index} < ${end}; ${step}) {`;
    return this.indexesRegisters(loop) ? ['#pragma unroll', head] : [head];
  }

  barrier(scope: 'workgroup' | 'subgroup'): string {
    return scope === 'workgroup' ? '__syncthreads();' : '__syncwarp();';
  }

  check(condition: Text, fault: number): string {
    return `if (!(${condition.text})) atomicCAS(${this.status}, 0, ${fault});`;
  }

  fragment(s: StmtOf<'fragment'>): readonly string[] {
    return this.#matrix.fragment(s);
  }

  mma(s: StmtOf<'mma'>): readonly string[] {
    return this.#matrix.mma(s);
  }

  /** What stands between the head of the kernel and its statements. */
  declarations(): readonly string[] {
    const wide = this.wideBuffers();
    const sources = {
      lane: 'threadIdx.x',
      subgroup: `(threadIdx.x / ${WARP})`,
      subgroup_lane: `(threadIdx.x % ${WARP})`,
    };
    return [
      ...this.#kernel.buffers.flatMap((b) => this.declaration(b, wide)),
      ...[...this.#builtins].map(
        ([which, name]) => `const int ${name} = (int)${sources[which as keyof typeof sources]};`,
      ),
    ];
  }

  private declaration(b: KernelBuffer, wide: ReadonlySet<string>): readonly string[] {
    const name = this.name(b.name);
    const elements = Sizes.constantOf(Sizes.product(b.shape));
    switch (b.space) {
      case 'global':
        return [];
      case 'scratch': {
        const size = printExpr(k.sizeExpr(Sizes.product(b.shape)), this);
        return [`${name} += ${infix(BINDS.product, '*', primary('(long long)blockIdx.x'), size).text};`];
      }
      case 'workgroup':
        return [
          `__shared__ ${wide.has(b.name) ? '__align__(16) ' : ''}${elementTypes[b.storage]} ${name}[${elements}];`,
        ];
      case 'private':
        if (elements === null) throw new Error(`spill left ${b.name}`);
        return [`${elementTypes[b.storage]} ${name}[${Math.max(1, elements)}];`];
      case 'subgroup': {
        return this.#matrix.declaration(b.name);
      }
    }
  }

  /** Workgroup buffers that are read or written as vectors or rows of fragments. */
  private wideBuffers(): ReadonlySet<string> {
    const found = new Set<string>();
    visitExpressions(this.#kernel.body, (e) => {
      if (e.kind === 'load' && e.type.lanes > 1) found.add(e.buffer);
    });
    visitStatements(this.#kernel.body, (s) => {
      if (s.kind === 'store' && s.value.type.lanes > 1) found.add(s.buffer);
      if (s.kind === 'fragment' && s.buffer !== null) found.add(s.buffer);
    });
    return found;
  }

  private indexesRegisters(loop: Counting['loop']): boolean {
    if (loop.from.kind !== 'literal' || loop.to.kind !== 'literal') return false;
    if ((loop.to.value - loop.from.value) / loop.step > UNROLLED) return false;
    const isPrivate = (name: string): boolean => this.#buffers.get(name)?.space === 'private';
    // Names that follow from the index do as well.
    const varying = new Set([loop.index]);
    let found = false;
    const varies = (e: Expr): boolean => {
      let does = false;
      visitExpr(e, (x) => {
        if (x.kind === 'ref' && varying.has(x.name)) does = true;
      });
      return does;
    };
    visitStatements(loop.body, (s) => {
      if (s.kind === 'let' && s.value.type.scalar === 'i32' && varies(s.value)) varying.add(s.name);
      if (s.kind === 'store' && isPrivate(s.buffer) && s.indices.some(varies)) found = true;
      for (const e of expressionsOf(s))
        visitExpr(e, (x) => {
          if (x.kind === 'load' && isPrivate(x.buffer) && x.indices.some(varies)) found = true;
        });
    });
    return found;
  }

  private buffer(name: string): KernelBuffer {
    const found = this.#buffers.get(name);
    if (found === undefined) throw new Error(`there is no buffer ${name}`);
    return found;
  }

  /**
   * Whether so many elements are one access: known to begin at a multiple of their number, and not of registers, of scratch (parts begin
   * anywhere), or of bytes.
   */
  private isRun(b: KernelBuffer, indices: readonly Expr[], offset: number, lanes: number): boolean {
    if ((b.space !== 'global' && b.space !== 'workgroup') || b.storage === 'i8') return false;
    const [index] = indices;
    return index !== undefined && (residue(affine(index), lanes, this.#multiples) ?? 1) === 0 && offset % lanes === 0;
  }

  private address(b: KernelBuffer, index: Text): Text {
    return index.text === '0'
      ? primary(this.name(b.name))
      : prefix('&', primary(`${this.name(b.name)}[${index.text}]`));
  }

  private vector(type: ValueType, elements: readonly Text[]): Text {
    return primary(`${typeName(type, this.#preamble)}{${elements.map((x) => x.text).join(', ')}}`);
  }

  private eachElement(type: ValueType, value: Text, change: (x: Text) => Text): Text {
    if (type.lanes === 1) return change(value);
    const at = value.binds === BINDS.primary ? value.text : `(${value.text})`;
    return this.vector(
      type,
      Array.from({ length: type.lanes }, (_, i) => change(primary(`${at}.${member(i)}`))),
    );
  }
}

/** Global memory whose elements are 32 bits wide. */
const isPlain = ({ space, storage }: KernelBuffer): boolean =>
  space === 'global' && (storage === 'f32' || storage === 'i32');

/** Masks are told apart in hexadecimal. */
const asMask = (e: Expr | undefined, text: Text): Text => (e?.kind === 'literal' ? writeMask(e.value) : text);

function parametersOf(kernel: Kernel, d: CudaDialect): readonly string[] {
  // What threads read after others wrote it has no restrict: a compiler may then move reads across barriers.
  const pointer = (b: KernelBuffer): string =>
    `${b.access === 'read' ? 'const ' : ''}${elementTypes[b.storage]}*${b.access === 'read_write' ? '' : ' __restrict__'} ${d.name(b.name)}`;
  return [
    ...kernel.buffers.filter((b) => b.space === 'global').map(pointer),
    ...kernel.buffers.filter((b) => b.space === 'scratch').map(pointer),
    ...(kernel.faults.length > 0 ? [`int* ${d.status}`] : []),
    ...kernel.dims.map((name) => `int ${d.name(name)}`),
  ];
}

/** As many to a line as fit. */
function wrapped(items: readonly string[], indent: string): readonly string[] {
  const lines: string[] = [];
  items.forEach((item, i) => {
    const text = i < items.length - 1 ? `${item},` : item;
    const last = lines.at(-1);
    if (last !== undefined && last.length + text.length < 118) lines[lines.length - 1] = `${last} ${text}`;
    else lines.push(indent + text);
  });
  return lines;
}

function printKernel(kernel: Kernel, preamble: Preamble): readonly string[] {
  const d = new CudaDialect(kernel, preamble);
  const { subgroups, lanes } = kernel.workgroup ?? { subgroups: 1, lanes: 1 };
  const body = printBlock(kernel.body, d, '  ');
  return [
    `// ${comment(kernel.label)}`,
    `extern "C" __global__ void __launch_bounds__(${subgroups * lanes}) ${kernel.name}(`,
    ...wrapped(parametersOf(kernel, d), '    '),
    ') {',
    ...d.declarations().map((line) => `  ${line}`),
    ...body,
    '}',
  ];
}

/** The text of a layer's kernels. */
export function printModule(kernels: readonly Kernel[], header: readonly string[], capabilities: Capabilities): string {
  const preamble = new Preamble(helpers, matrixHelpers);
  const printed = kernels.map((kernel) => printKernel(kernel, preamble));
  return [
    ...header.map((line) => `// ${comment(line)}`),
    `// For sm_${capabilities['sm']} and newer. Compile with -fmad=false and without fast math: what is to be fused is written fmaf.`,
    '',
    ...preamble.print(),
    ...printed.flatMap((lines, i) => (i === 0 ? lines : ['', ...lines])),
    '',
  ].join('\n');
}
