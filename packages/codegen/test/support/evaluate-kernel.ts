/**
 * An executable meaning of Kernel IR: runs a kernel in JavaScript and returns what it stored. The lanes of a workgroup go
 * statement by statement together, with those that a branch leaves out resting. It is a sanitizer too, and throws at
 * accesses outside their buffer, reads of memory nobody wrote, two lanes meeting in one element without a barrier
 * between, and barriers that not all lanes reach.
 */
import { packWeight, physicalLength, physicalShape, type WeightData } from '@espalier/artefact';
import { Sizes } from '@espalier/ir';
import type { Expr, Kernel, KernelBuffer, Stmt } from '../../src/kernel-ir/types.ts';
import { applyOp, foldLanes, roundTo, type Value, wrap } from './evaluate-op.ts';

export interface EvaluateOptions {
  readonly dims?: Readonly<Record<string, number>>;
  /** Row-major elements of the buffers that are read. They are packed as their layouts say. */
  readonly tensors: Readonly<Record<string, WeightData>>;
  /** Set when the pass `flatten` has run: the one index of a rank-1 buffer is then physical. */
  readonly flattened?: boolean;
}

export interface Evaluated {
  /** What stands in each buffer that may be written, row-major; NaN where nothing was stored. */
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  /** Numbers of the checks that failed. */
  readonly faults: ReadonlySet<number>;
}

/** Who touched an element last, and how many barriers ago. */
interface Touch {
  readonly thread: number;
  readonly epoch: number;
  readonly subgroupEpoch: number;
}

class Memory {
  readonly buffer: KernelBuffer;
  readonly data: Float64Array;
  readonly written: Uint8Array;
  readonly extents: readonly number[];
  readonly #writes = new Map<number, Touch>();
  readonly #reads = new Map<number, Touch>();

  constructor(buffer: KernelBuffer, dims: ReadonlyMap<string, number>, given?: WeightData) {
    this.buffer = buffer;
    const shape = buffer.shape.map((size) => Sizes.evaluate(size, dims));
    const length = physicalLength(buffer.layout, shape);
    this.extents = physicalShape(buffer.layout, shape);
    this.data = new Float64Array(length).fill(Number.NaN);
    this.written = new Uint8Array(length);
    if (given === undefined) return;
    const packed = buffer.storage === 'f32' ? new Float32Array(length) : new Int32Array(length);
    packWeight(given, shape, buffer.layout, packed);
    this.data.set(packed);
    this.written.fill(1);
  }

  /** The place of the first element in physical order. */
  place(indices: readonly number[], offset: number, flattened: boolean): number {
    if (flattened) return (indices[0] as number) + offset;
    const { layout } = this.buffer;
    const place = layout.reduce((flat, d, i) => {
      const index = indices[d.axis] as number;
      const part = d.part === 'whole' ? index : d.part === 'outer' ? Math.floor(index / d.block) : index % d.block;
      if (part < 0 || part >= (this.extents[i] as number))
        throw new RangeError(`${this.buffer.name}[${indices.join(', ')}] is out of bounds`);
      return flat * (this.extents[i] as number) + part;
    }, 0);
    return place + offset;
  }

  read(at: number): number {
    if (!(at >= 0 && at < this.data.length)) throw new RangeError(`${this.buffer.name} element ${at} is out of bounds`);
    if (this.written[at] === 0) throw new Error(`${this.buffer.name} element ${at} is read but was never written`);
    return this.data[at] as number;
  }

  write(at: number, value: number): void {
    if (!(at >= 0 && at < this.data.length)) throw new RangeError(`${this.buffer.name} element ${at} is out of bounds`);
    this.data[at] = value;
    this.written[at] = 1;
  }

  /** Notes an access of memory that threads share; throws when another thread's access is not ordered with it. */
  touch(at: number, kind: 'read' | 'write', now: Touch, lanes: number): void {
    const meets = (other: Touch | undefined): boolean => {
      if (other === undefined || other.thread === now.thread || other.epoch !== now.epoch) return false;
      return !(
        Math.floor(other.thread / lanes) === Math.floor(now.thread / lanes) && other.subgroupEpoch < now.subgroupEpoch
      );
    };
    if (meets(this.#writes.get(at)) || (kind === 'write' && meets(this.#reads.get(at)))) {
      throw new Error(`lanes race in ${this.buffer.name} element ${at}`);
    }
    (kind === 'write' ? this.#writes : this.#reads).set(at, now);
  }
}

/** Runs a kernel. */
export function evaluateKernel(kernel: Kernel, options: EvaluateOptions): Evaluated {
  const machine = new Machine(kernel, options);
  machine.run();
  return machine.result();
}

type For = Extract<Stmt, { kind: 'for' }>;

class Machine {
  readonly #kernel: Kernel;
  readonly #flattened: boolean;
  readonly #dims: ReadonlyMap<string, number>;
  readonly #lanes: number;
  readonly #threads: readonly number[];
  readonly #global = new Map<string, Memory>();
  readonly #faults = new Set<number>();
  /** One per thread. */
  #names: Map<string, Value>[] = [];
  #private: Map<string, Memory>[] = [];
  /** One per subgroup: fragments, and barriers passed. */
  #fragments: Map<string, Memory>[] = [];
  #subgroupEpochs: number[] = [];
  #shared = new Map<string, Memory>();
  #epoch = 0;

  constructor(kernel: Kernel, options: EvaluateOptions) {
    this.#kernel = kernel;
    this.#flattened = options.flattened ?? false;
    this.#dims = new Map(Object.entries(options.dims ?? {}));
    this.#lanes = kernel.workgroup?.lanes ?? 1;
    this.#threads = Array.from({ length: this.#lanes * (kernel.workgroup?.subgroups ?? 1) }, (_, t) => t);
    for (const b of kernel.buffers)
      if (b.space === 'global') this.#global.set(b.name, new Memory(b, this.#dims, options.tensors[b.name]));
  }

  run(): void {
    this.start();
    this.block(this.#kernel.body, this.#threads);
  }

  result(): Evaluated {
    const outputs = [...this.#global]
      .filter(([, m]) => m.buffer.access !== 'read')
      .map(([name, m]) => [name, [...m.data]] as const);
    return { outputs: Object.fromEntries(outputs), faults: this.#faults };
  }

  /** What a grid step or a workgroup begins with: nothing that another one left. */
  private start(): void {
    const memories = (space: KernelBuffer['space']): Map<string, Memory> =>
      new Map(this.#kernel.buffers.filter((b) => b.space === space).map((b) => [b.name, new Memory(b, this.#dims)]));
    this.#private = this.#threads.map(() => memories('private'));
    this.#fragments = Array.from({ length: this.#threads.length / this.#lanes }, () => memories('subgroup'));
    this.#subgroupEpochs = this.#fragments.map(() => 0);
    this.#shared = memories('workgroup');
    this.#names = this.#threads.map((t) => new Map(this.#names[t]));
    this.#epoch++;
  }

  private block(body: readonly Stmt[], active: readonly number[]): void {
    if (active.length > 0) for (const s of body) this.statement(s, active);
  }

  private statement(s: Stmt, active: readonly number[]): void {
    switch (s.kind) {
      case 'for':
        this.loop(s, active);
        return;
      case 'if': {
        const taken = active.filter((t) => this.number(s.condition, t) !== 0);
        this.block(s.then, taken);
        this.block(
          s.otherwise,
          active.filter((t) => !taken.includes(t)),
        );
        return;
      }
      case 'let':
      case 'var':
      case 'assign': {
        const source = s.kind === 'var' ? s.init : s.value;
        const values = active.map((t) => this.value(source, t, active));
        active.forEach((t, i) => {
          this.#names[t]?.set(s.name, values[i] as Value);
        });
        return;
      }
      case 'store': {
        const todo = active.map((t) => ({ t, at: this.place(s, t), value: this.value(s.value, t, active) }));
        for (const { t, at, value } of todo) {
          [value].flat().forEach((x, i) => {
            this.note(s.buffer, at + i, 'write', t);
            this.memory(s.buffer, t).write(at + i, x);
          });
        }
        return;
      }
      case 'check':
        for (const t of active) if (this.number(s.condition, t) === 0) this.#faults.add(s.fault);
        return;
      case 'barrier':
        this.whole(active, s.scope, 'barrier');
        if (s.scope === 'workgroup') this.#epoch++;
        else for (const g of this.subgroupsOf(active)) this.#subgroupEpochs[g] = (this.#subgroupEpochs[g] ?? 0) + 1;
        return;
      case 'fragment':
        this.whole(active, 'subgroup', 'fragment');
        for (const g of this.subgroupsOf(active)) this.fragment(s, g);
        return;
      case 'mma':
        this.whole(active, 'subgroup', 'mma');
        for (const g of this.subgroupsOf(active)) this.multiply(s, g);
        return;
      case 'comment':
        return;
    }
  }

  private loop(s: For, active: readonly number[]): void {
    const from = new Map(active.map((t) => [t, this.number(s.from, t)]));
    const to = new Map(active.map((t) => [t, this.number(s.to, t)]));
    const dealt =
      s.binding === 'lane' ? this.#lanes : s.binding === 'subgroup' ? this.#threads.length / this.#lanes : 1;
    const own = (t: number): number =>
      s.binding === 'lane' ? t % this.#lanes : s.binding === 'subgroup' ? Math.floor(t / this.#lanes) : 0;
    for (let round = 0; ; round++) {
      const at = (t: number): number => (from.get(t) as number) + (round * dealt + own(t)) * s.step;
      const running = active.filter((t) => at(t) < (to.get(t) as number));
      if (running.length === 0) return;
      if (s.binding === 'grid' || s.binding === 'workgroup') this.start();
      for (const t of running) this.#names[t]?.set(s.index, at(t));
      this.block(s.body, running);
    }
  }

  private fragment(s: Extract<Stmt, { kind: 'fragment' }>, g: number): void {
    const fragment = this.#fragments[g]?.get(s.fragment) as Memory;
    const [rows, columns] = fragment.extents as readonly [number, number];
    const thread = g * this.#lanes;
    const corner = s.indices.map((i) => this.number(i, thread));
    for (let at = 0; at < rows * columns; at++) {
      if (s.buffer === null) {
        fragment.write(at, 0);
        continue;
      }
      const place = [
        ...corner.slice(0, -2),
        (corner.at(-2) as number) + Math.floor(at / columns),
        (corner.at(-1) as number) + (at % columns),
      ];
      const memory = this.memory(s.buffer, thread);
      const there = memory.place(place, 0, false);
      this.note(s.buffer, there, s.move === 'store' ? 'write' : 'read', thread);
      if (s.move === 'store') memory.write(there, fragment.read(at));
      else fragment.write(at, memory.read(there));
    }
  }

  private multiply(s: Extract<Stmt, { kind: 'mma' }>, g: number): void {
    const [c, a, b] = [s.accumulator, s.a, s.b].map((name) => this.#fragments[g]?.get(name)) as [
      Memory,
      Memory,
      Memory,
    ];
    for (let i = 0; i < s.rows; i++) {
      for (let j = 0; j < s.columns; j++) {
        let sum = c.read(i * s.columns + j);
        for (let k = 0; k < s.depth; k++) {
          const product =
            roundTo(s.precision, a.read(i * s.depth + k)) * roundTo(s.precision, b.read(k * s.columns + j));
          sum = Math.fround(sum + product);
        }
        c.write(i * s.columns + j, sum);
      }
    }
  }

  private subgroupsOf(active: readonly number[]): readonly number[] {
    return [...new Set(active.map((t) => Math.floor(t / this.#lanes)))];
  }

  private whole(active: readonly number[], scope: 'workgroup' | 'subgroup', what: string): void {
    const complete = scope === 'workgroup' ? this.#threads.length : this.subgroupsOf(active).length * this.#lanes;
    if (active.length !== complete)
      throw new Error(`${what} ${scope} reached by ${active.length} of ${complete} lanes`);
  }

  private memory(name: string, t: number): Memory {
    const found = this.#global.get(name) ?? this.#shared.get(name) ?? this.#private[t]?.get(name);
    if (found === undefined) throw new Error(`there is no memory ${name}`);
    return found;
  }

  private note(name: string, at: number, kind: 'read' | 'write', t: number): void {
    if (this.#private[t]?.has(name)) return;
    const now = {
      thread: t,
      epoch: this.#epoch,
      subgroupEpoch: this.#subgroupEpochs[Math.floor(t / this.#lanes)] ?? 0,
    };
    this.memory(name, t).touch(at, kind, now, this.#lanes);
  }

  private place(
    access: { readonly buffer: string; readonly indices: readonly Expr[]; readonly offset: number },
    t: number,
  ): number {
    return this.memory(access.buffer, t).place(
      access.indices.map((i) => this.number(i, t)),
      access.offset,
      this.#flattened,
    );
  }

  private number(e: Expr, t: number): number {
    return this.value(e, t, this.#threads) as number;
  }

  private value(e: Expr, t: number, active: readonly number[]): Value {
    switch (e.kind) {
      case 'literal':
        return e.type.scalar === 'f32' ? Math.fround(e.value) : e.value;
      case 'ref': {
        const value = this.#names[t]?.get(e.name);
        if (value === undefined) throw new Error(`${e.name} has no value`);
        return value;
      }
      case 'dim':
        return this.#dims.get(e.name) ?? Number.NaN;
      case 'builtin':
        return e.which === 'lane' ? t : e.which === 'subgroup' ? Math.floor(t / this.#lanes) : t % this.#lanes;
      case 'load': {
        const at = this.place(e, t);
        const elements = Array.from({ length: e.type.lanes }, (_, i) => {
          this.note(e.buffer, at + i, 'read', t);
          return this.memory(e.buffer, t).read(at + i);
        });
        return wrap(elements);
      }
      case 'op':
        return applyOp(
          e.op,
          e.args[0]?.type.scalar ?? 'f32',
          e.args.map((a) => this.value(a, t, active)),
        );
      case 'splat':
        return new Array<number>(e.type.lanes).fill(this.value(e.value, t, active) as number);
      case 'lanes':
        return e.elements.map((x) => this.value(x, t, active) as number);
      case 'extract':
        return (this.value(e.value, t, active) as readonly number[])[e.lane] as number;
      case 'fold':
        return foldLanes(e.op, e.type.scalar, [this.value(e.value, t, active)].flat());
      case 'subgroup_fold': {
        const mates = this.mates(t, active, 'subgroup_fold');
        const values = mates.map((mate) => [this.value(e.value, mate, active)].flat());
        return wrap(
          Array.from({ length: e.type.lanes }, (_, i) =>
            foldLanes(
              e.op,
              e.type.scalar,
              values.map((v) => v[i] as number),
            ),
          ),
        );
      }
      case 'shuffle': {
        const mates = this.mates(t, active, 'shuffle');
        const lane = this.value(e.lane, t, active) as number;
        const from = e.mode === 'index' ? lane : (t % this.#lanes) ^ lane;
        const mate = mates[from];
        if (mate === undefined) throw new RangeError(`shuffle from lane ${from}`);
        return this.value(e.value, mate, active);
      }
    }
  }

  private mates(t: number, active: readonly number[], what: string): readonly number[] {
    const mates = active.filter((other) => Math.floor(other / this.#lanes) === Math.floor(t / this.#lanes));
    if (mates.length !== this.#lanes) throw new Error(`${what} reached by ${mates.length} of ${this.#lanes} lanes`);
    return mates;
  }
}
