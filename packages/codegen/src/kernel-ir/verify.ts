/**
 * The verifier: what every pass may rely on and must leave true. Names are defined once and before their use, types and
 * lanes agree, conditions are scalar, buffers exist and are used as they allow, a grid loop is outermost and alone.
 */
import { printExpr, printType } from './print.ts';
import type { Expr, Kernel, KernelBuffer, KernelOp, Stmt, ValueType } from './types.ts';
import { children } from './walk.ts';

/** Raised by `verify`: a bug of the named pass. */
export class VerifyError extends Error {
  constructor(kernel: string, stage: string, problem: string) {
    super(`after ${stage}, kernel ${kernel}: ${problem}`);
    this.name = 'VerifyError';
  }
}

const same = (a: ValueType, b: ValueType): boolean => a.scalar === b.scalar && a.lanes === b.lanes;

type Rule = (args: readonly ValueType[]) => boolean;
const each =
  (scalars: string, count: number): Rule =>
  (args) =>
    args.length === count && args.every((a) => scalars.includes(a.scalar) && a.scalar === args[0]?.scalar);

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
    this.block(this.#kernel.body, new Map(), 0);
  }

  private fail(problem: string): never {
    throw new VerifyError(this.#kernel.name, this.#stage, problem);
  }

  private define(name: string, type: ValueType, scope: Map<string, ValueType>): void {
    if (this.#defined.has(name)) this.fail(`${name} is defined twice`);
    this.#defined.add(name);
    scope.set(name, type);
  }

  private block(body: readonly Stmt[], outer: ReadonlyMap<string, ValueType>, depth: number): void {
    const scope = new Map(outer);
    for (const s of body) this.statement(s, scope, depth);
  }

  private statement(s: Stmt, scope: Map<string, ValueType>, depth: number): void {
    switch (s.kind) {
      case 'for': {
        if (s.binding === 'grid' && depth > 0) this.fail(`grid loop ${s.index} is not outermost`);
        if (!(Number.isInteger(s.step) && s.step > 0)) this.fail(`loop ${s.index} has step ${s.step}`);
        this.scalar(s.from, scope, 'i32');
        this.scalar(s.to, scope, 'i32');
        const inner = new Map(scope);
        this.define(s.index, { scalar: 'i32', lanes: 1 }, inner);
        return this.block(s.body, inner, depth + 1);
      }
      case 'if':
        this.scalar(s.condition, scope, 'bool');
        this.block(s.then, scope, depth + 1);
        return this.block(s.otherwise, scope, depth + 1);
      case 'let':
        return this.define(s.name, this.expr(s.value, scope), scope);
      case 'var':
        if (!same(this.expr(s.init, scope), s.type))
          this.fail(`var ${s.name}: ${printType(s.type)} starts as ${printExpr(s.init)}`);
        return this.define(s.name, s.type, scope);
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
        this.indices(s.indices, buffer, scope);
        const type = this.expr(s.value, scope);
        const wanted = buffer.storage === 'f32' || buffer.storage === 'f16' ? 'f32' : 'i32';
        if (type.scalar !== wanted) this.fail(`${s.buffer} takes ${wanted}, given ${printExpr(s.value)}`);
        return;
      }
      case 'check':
        return this.scalar(s.condition, scope, 'bool');
      case 'mma':
        for (const name of [s.accumulator, s.a, s.b]) this.buffer(name);
        return;
      case 'barrier':
      case 'comment':
        return;
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
      this.indices(e.indices, this.buffer(e.buffer), scope);
      return e.type;
    }
    const types = children(e).map((c) => this.expr(c, scope));
    if (e.kind === 'dim' && !this.#kernel.dims.includes(e.name)) this.fail(`there is no dim ${e.name}`);
    if (e.kind === 'op') {
      if (!rules[e.op](types) || types.some((t) => t.lanes !== e.type.lanes)) this.fail(`${printExpr(e)} is ill-typed`);
    }
    if (e.kind === 'splat' && types[0]?.lanes !== 1) this.fail(`${printExpr(e)} splats a vector`);
    return e.type;
  }
}
