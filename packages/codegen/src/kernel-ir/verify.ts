/**
 * The verifier: what every pass may rely on and must leave true. Names are defined once and before their use, types and
 * lanes agree, conditions are scalar, buffers exist and are used as they allow, loops are bound where they can be, and
 * what the lanes of a scope do together is reached by all of them (divergence.ts).
 */
import { Sizes } from '@espalier/ir';
import { resultType } from './build.ts';
import { divergence } from './divergence.ts';
import { fillsTile } from './held.ts';
import { printExpr, printType } from './print.ts';
import type { Binding, Expr, Kernel, KernelBuffer, KernelOp, Stmt, ValueType } from './types.ts';
import { eachChild } from './walk.ts';

/** Raised by `verify`: a bug of the named pass. */
export class VerifyError extends Error {
  constructor(kernel: string, stage: string, problem: string) {
    super(`after ${stage}, kernel ${kernel}: ${problem}`);
    this.name = 'VerifyError';
  }
}

const same = (a: ValueType, b: ValueType): boolean => a === b || (a.scalar === b.scalar && a.lanes === b.lanes);

type Rule = (args: readonly ValueType[]) => boolean;
const each =
  (scalars: string, count: number): Rule =>
  (args) => {
    const first = args[0]?.scalar;
    return (
      first !== undefined && args.length === count && scalars.includes(first) && args.every((a) => a.scalar === first)
    );
  };

const rules: Readonly<Record<KernelOp, Rule>> = {
  add: each('f32 i32', 2),
  sub: each('f32 i32', 2),
  mul: each('f32 i32', 2),
  div: each('f32', 2),
  floordiv: each('i32', 2),
  mod: each('i32', 2),
  min: each('f32 i32', 2),
  max: each('f32 i32', 2),
  neg: each('f32 i32', 1),
  abs: each('f32 i32', 1),
  fma: each('f32', 3),
  sqrt: each('f32', 1),
  exp: each('f32', 1),
  ln: each('f32', 1),
  tanh: each('f32', 1),
  erf: each('f32', 1),
  floor: each('f32', 1),
  nearest: each('f32', 1),
  eq: each('f32 i32 bool', 2),
  ne: each('f32 i32 bool', 2),
  lt: each('f32 i32', 2),
  le: each('f32 i32', 2),
  gt: each('f32 i32', 2),
  ge: each('f32 i32', 2),
  and: each('bool', 2),
  or: each('bool', 2),
  not: each('bool', 1),
  select: (args) => args.length === 3 && args[0]?.scalar === 'bool' && args[1]?.scalar === args[2]?.scalar,
  bit_and: each('i32', 2),
  bit_or: each('i32', 2),
  bit_xor: each('i32', 2),
  shl: each('i32', 2),
  shr_s: each('i32', 2),
  shr_u: each('i32', 2),
  dot_i16: each('i32', 2),
  bits_of: each('f32', 1),
  from_bits: each('i32', 1),
  to_f32: each('i32 bool', 1),
  to_i32: each('f32 bool', 1),
};

/** Throws VerifyError for the first rule a kernel breaks. `stage` names the pass that made it. */
export function verify(kernel: Kernel, stage: string): void {
  new Verifier(kernel, stage).run();
}

class Verifier {
  readonly #kernel: Kernel;
  readonly #stage: string;
  readonly #buffers: ReadonlyMap<string, KernelBuffer>;
  readonly #defined = new Set<string>();

  constructor(kernel: Kernel, stage: string) {
    this.#kernel = kernel;
    this.#stage = stage;
    this.#buffers = new Map(kernel.buffers.map((b) => [b.name, b]));
  }

  run(): void {
    if (this.#buffers.size !== this.#kernel.buffers.length) this.fail('two buffers have one name');
    for (const b of this.#kernel.buffers) {
      if (
        (b.space === 'workgroup' || b.space === 'subgroup') &&
        b.shape.some((size) => Sizes.constantOf(size) === null)
      ) {
        this.fail(`${b.name} is ${b.space} memory of a size that is not constant`);
      }
      if (b.space !== 'global' && b.space !== 'private') this.needsWorkgroup(`${b.space} memory ${b.name}`);
    }
    this.block(this.#kernel.body, new Map(), []);
    const split = divergence(this.#kernel);
    if (split !== null) this.fail(split);
  }

  private needsWorkgroup(what: string): void {
    if (this.#kernel.workgroup === undefined) this.fail(`${what} in a kernel whose threads run alone`);
  }

  private fail(problem: string): never {
    throw new VerifyError(this.#kernel.name, this.#stage, problem);
  }

  private define(name: string, type: ValueType, scope: Map<string, ValueType>): void {
    if (this.#defined.has(name)) this.fail(`${name} is defined twice`);
    this.#defined.add(name);
    scope.set(name, type);
  }

  private block(body: readonly Stmt[], outer: ReadonlyMap<string, ValueType>, around: readonly Binding[]): void {
    const scope = new Map(outer);
    for (const s of body) this.statement(s, scope, around);
  }

  private statement(s: Stmt, scope: Map<string, ValueType>, around: readonly Binding[]): void {
    switch (s.kind) {
      case 'for': {
        this.binding(s.binding, s.index, around);
        if (!(Number.isInteger(s.step) && s.step > 0)) this.fail(`loop ${s.index} has step ${s.step}`);
        this.scalar(s.from, scope, 'i32');
        this.scalar(s.to, scope, 'i32');
        const inner = new Map(scope);
        this.define(s.index, { scalar: 'i32', lanes: 1 }, inner);
        this.block(s.body, inner, [...around, s.binding]);
        return;
      }
      case 'if':
        this.scalar(s.condition, scope, 'bool');
        this.block(s.then, scope, [...around, 'serial']);
        this.block(s.otherwise, scope, [...around, 'serial']);
        return;
      case 'let':
        this.define(s.name, this.expr(s.value, scope), scope);
        return;
      case 'var':
        if (!same(this.expr(s.init, scope), s.type))
          this.fail(`var ${s.name}: ${printType(s.type)} starts as ${printExpr(s.init)}`);
        this.define(s.name, s.type, scope);
        return;
      case 'assign': {
        const type = scope.get(s.name);
        if (type === undefined) this.fail(`${s.name} is assigned before it is defined`);
        if (!same(this.expr(s.value, scope), type))
          this.fail(`${s.name}: ${printType(type)} is given ${printExpr(s.value)}`);
        return;
      }
      case 'store': {
        const buffer = this.buffer(s.buffer);
        if (buffer.access === 'read') this.fail(`${s.buffer} is read-only`);
        this.addressable(buffer);
        this.indices(s.indices, buffer, scope);
        const type = this.expr(s.value, scope);
        const wanted = buffer.storage === 'i32' || buffer.storage === 'i8' ? 'i32' : 'f32';
        if (type.scalar !== wanted) this.fail(`${s.buffer} takes ${wanted}, given ${printExpr(s.value)}`);
        return;
      }
      case 'touch': {
        const buffer = this.buffer(s.buffer);
        this.addressable(buffer);
        this.indices(s.indices, buffer, scope);
        return;
      }
      case 'check':
        if (!(Number.isInteger(s.fault) && s.fault >= 1)) this.fail(`check has fault number ${s.fault}`);
        this.scalar(s.condition, scope, 'bool');
        return;
      case 'fragment':
        this.fragment(s, scope);
        return;
      case 'mma':
        this.fragmentOf(s.accumulator, s.rows, s.columns);
        this.fragmentOf(s.a, s.rows, s.depth);
        this.fragmentOf(s.b, s.depth, s.columns);
        return;
      case 'barrier':
        this.needsWorkgroup('barrier');
        return;
      case 'comment':
        return;
    }
  }

  private binding(binding: Binding, index: string, around: readonly Binding[]): void {
    if (binding === 'serial') return;
    if (binding === 'grid' || binding === 'workgroup') {
      if (around.length > 0) this.fail(`${binding} loop ${index} is not outermost`);
    } else {
      if (around.includes(binding) || (binding === 'subgroup' && around.includes('lane'))) {
        this.fail(`${binding} loop ${index} lies in a ${around.includes(binding) ? binding : 'lane'} loop`);
      }
    }
    if (binding !== 'grid') this.needsWorkgroup(`${binding} loop ${index}`);
  }

  private addressable(buffer: KernelBuffer): void {
    if (buffer.space === 'subgroup') this.fail(`${buffer.name} is a fragment and has no addresses`);
  }

  private fragment(s: Extract<Stmt, { kind: 'fragment' }>, scope: Map<string, ValueType>): void {
    const fragment = this.buffer(s.fragment);
    if (fragment.space !== 'subgroup') this.fail(`${s.fragment} is not a fragment`);
    if ((s.move === 'zero') !== (s.buffer === null)) this.fail(`fragment ${s.move} with ${s.buffer ?? 'no buffer'}`);
    if (s.buffer === null) return;
    const buffer = this.buffer(s.buffer);
    this.addressable(buffer);
    if (s.move === 'take') {
      this.taken(s, fragment, buffer);
      return;
    }
    if (buffer.space === 'private') this.fail(`${s.buffer} is private: the lanes of a subgroup do not share it`);
    if (s.move === 'store' && buffer.access === 'read') this.fail(`${s.buffer} is read-only`);
    this.indices(s.indices, buffer, scope);
  }

  /** A lane's own elements of a fragment must fill private memory, which takes nothing else. */
  private taken(s: Extract<Stmt, { kind: 'fragment' }>, fragment: KernelBuffer, buffer: KernelBuffer): void {
    const [rows = 0, columns = 0] = fragment.shape.map((size) => Sizes.constantOf(size) ?? 0);
    const { held } = s;
    const lanes = this.#kernel.workgroup?.lanes ?? 1;
    if (
      held === undefined ||
      rows % held.rows !== 0 ||
      columns % held.columns !== 0 ||
      // Else some lane would hold more than it has places for, and elements would be nobody's.
      !fillsTile(held, lanes)
    )
      this.fail(`${s.fragment} is taken in tiles that do not cover it`);
    if (buffer.space !== 'private') this.fail(`${s.buffer} is not a lane's own`);
    const count = Sizes.constantOf(Sizes.product(buffer.shape));
    if (buffer.shape.length !== 1 || count !== (rows * columns) / lanes)
      this.fail(`${s.buffer} has ${count} places for ${(rows * columns) / lanes} elements of ${s.fragment}`);
  }

  private fragmentOf(name: string, rows: number, columns: number): void {
    const b = this.buffer(name);
    if (b.space !== 'subgroup') this.fail(`${name} is not a fragment`);
    const shape = b.shape.map((size) => Sizes.constantOf(size));
    if (shape.length !== 2 || shape[0] !== rows || shape[1] !== columns) {
      this.fail(`fragment ${name} is ${shape.join(' x ')} where ${rows} x ${columns} is needed`);
    }
  }

  private buffer(name: string): KernelBuffer {
    return this.#buffers.get(name) ?? this.fail(`there is no buffer ${name}`);
  }

  private indices(indices: readonly Expr[], buffer: KernelBuffer, scope: ReadonlyMap<string, ValueType>): void {
    if (indices.length !== buffer.shape.length && indices.length !== 1) {
      this.fail(`${buffer.name} has ${buffer.shape.length} axes, indexed by ${indices.length}`);
    }
    for (const i of indices) this.scalar(i, scope, 'i32');
  }

  private scalar(e: Expr, scope: ReadonlyMap<string, ValueType>, scalar: string): void {
    const type = this.expr(e, scope);
    if (type.scalar !== scalar || type.lanes !== 1)
      this.fail(`${printExpr(e)} is ${printType(type)} where ${scalar} is needed`);
  }

  private expr(e: Expr, scope: ReadonlyMap<string, ValueType>): ValueType {
    if (e.kind === 'ref') {
      // Names with a dot are parameters that a target's legalise has introduced.
      const type = scope.get(e.name) ?? (e.name.includes('.') ? e.type : undefined);
      if (type === undefined) this.fail(`${e.name} is used before it is defined`);
      if (!same(type, e.type)) this.fail(`${e.name} is ${printType(type)}, used as ${printType(e.type)}`);
      return e.type;
    }
    if (e.kind === 'load') {
      const buffer = this.buffer(e.buffer);
      if (buffer.access === 'write') this.fail(`${e.buffer} is write-only`);
      this.addressable(buffer);
      this.indices(e.indices, buffer, scope);
      const { scalar } = e.type;
      // The bits of an f16 may be read as an integer: that is how it is widened where the machine can't.
      const right =
        scalar === 'f32'
          ? buffer.storage === 'f32' || buffer.storage === 'f16'
          : scalar === 'i32' && buffer.storage !== 'f32';
      if (!right) this.fail(`${e.buffer} holds ${buffer.storage}, read as ${printType(e.type)}`);
      return e.type;
    }
    const types: ValueType[] = [];
    eachChild(e, (c) => types.push(this.expr(c, scope)));
    const problem = this.typeProblem(e, types);
    if (problem !== null) this.fail(`${printExpr(e)} ${problem}`);
    return e.type;
  }

  /** What is wrong with the type of a node whose operands have `types`. */
  private typeProblem(e: Expr, types: readonly ValueType[]): string | null {
    const [first] = types;
    switch (e.kind) {
      case 'literal':
        if (e.type.lanes !== 1) return 'is a literal with lanes';
        return e.type.scalar === 'f32' || Number.isInteger(e.value) ? null : `is no ${e.type.scalar}`;
      case 'dim':
        return this.#kernel.dims.includes(e.name) ? null : 'is no dim of the kernel';
      case 'builtin':
        return this.#kernel.workgroup === undefined ? 'in a kernel whose threads run alone' : null;
      case 'op': {
        if (!rules[e.op](types) || types.some((t) => t.lanes !== e.type.lanes)) return 'is ill-typed';
        return same(resultType(e.op, e.args), e.type)
          ? null
          : `is ${printType(resultType(e.op, e.args))}, not ${printType(e.type)}`;
      }
      case 'splat':
        if (first?.lanes !== 1) return 'splats a vector';
        return first.scalar === e.type.scalar ? null : 'is ill-typed';
      case 'lanes':
        return types.length === e.type.lanes && types.every((t) => t.lanes === 1 && t.scalar === e.type.scalar)
          ? null
          : 'is ill-typed';
      case 'extract':
        if (!(e.lane >= 0 && e.lane < (first?.lanes ?? 0))) return `takes lane ${e.lane} of ${first?.lanes}`;
        return first?.scalar === e.type.scalar && e.type.lanes === 1 ? null : 'is ill-typed';
      case 'fold':
        return first?.scalar === e.type.scalar && e.type.lanes === 1 && first.scalar !== 'bool' ? null : 'is ill-typed';
      case 'subgroup_fold':
        if (this.#kernel.workgroup === undefined) return 'in a kernel whose threads run alone';
        return first !== undefined && same(first, e.type) && first.scalar !== 'bool' ? null : 'is ill-typed';
      case 'shuffle':
        if (this.#kernel.workgroup === undefined) return 'in a kernel whose threads run alone';
        return first !== undefined && same(first, e.type) && types[1]?.scalar === 'i32' && types[1].lanes === 1
          ? null
          : 'is ill-typed';
      default:
        return null;
    }
  }
}
