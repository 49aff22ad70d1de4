/**
 * What the text of a simulated kernel calls: everything that is not one lane's arithmetic. It begins workgroups, orders
 * accesses, does what lanes do together, and records what was wrong.
 */
import { heldBy } from '../kernel-ir/held.ts';
import type { FoldOp, HeldTile, Kernel, MmaPrecision, ScalarType } from '../kernel-ir/types.ts';
import { foldValues, roundTo } from './arithmetic.ts';
import { Clock } from './clock.ts';
import { type Detail, type Findings, lanesText, type Site } from './findings.ts';
import type { Elements, Memory } from './memory.ts';

/** The active lanes of a workgroup are the first `count` of `lanes`, in rising order. */
export class Machine {
  readonly all: Int32Array;
  readonly faults = new Set<number>();
  /** Workgroups (or grid steps) that ran. */
  steps = 0;
  readonly #kernel: Kernel;
  readonly #sites: readonly Site[];
  readonly #findings: Findings;
  readonly #strict: boolean;
  readonly #lanes: number;
  readonly #clock: Clock;
  /** Tells this kernel's findings from those of others. */
  readonly #key: string;
  #group = 0;
  #serial = 1;
  readonly #values: Float64Array;

  constructor(kernel: Kernel, sites: readonly Site[], findings: Findings, strict: boolean) {
    this.#kernel = kernel;
    this.#strict = strict;
    this.#sites = sites;
    this.#findings = findings;
    this.#key = `${kernel.name} ${kernel.label} ${kernel.place}`;
    this.#lanes = kernel.workgroup?.lanes ?? 1;
    const threads = this.#lanes * (kernel.workgroup?.subgroups ?? 1);
    this.all = Int32Array.from({ length: threads }, (_, t) => t);
    this.#values = new Float64Array(this.#lanes);
    this.#clock = new Clock(threads, this.#lanes, (earlier, at, lane, site, write) => {
      const other = {
        workgroup: this.#clock.workgroupAt(earlier.epoch),
        lane: this.#laneOf(earlier.lane),
        statement: this.#sites[earlier.site]?.statement ?? '',
      };
      this.#report('race', site, this.#laneOf(lane), () => ({
        element: at,
        other,
        message:
          `${write ? 'writes' : 'reads'} ${this.#element(site, at)}, which lane ${other.lane}` +
          `${other.workgroup === this.#group ? '' : ` of workgroup ${other.workgroup}`} ${write ? 'touched' : 'wrote'} with nothing to order them`,
      }));
    });
    this.#clock.beginWorkgroup(0);
  }

  /** Begins a workgroup or grid step; returns the stamp by which memory counts as written in it. */
  start(group: number): number {
    this.steps++;
    this.#group = group;
    this.#clock.beginWorkgroup(group);
    return ++this.#serial;
  }

  read(memory: Memory, at: number, lane: number, site: number): void {
    if (memory.shadow !== null) this.#clock.read(memory.shadow, at, lane, site);
  }

  /** Comes before the store. */
  write(memory: Memory, at: number, lane: number, site: number, value: number): void {
    // No machine can tell which of two lanes stored a value that both store.
    const harmless = !this.#strict && Object.is(memory.data[at], asStored(memory, value));
    if (memory.shadow !== null) this.#clock.write(memory.shadow, at, lane, site, harmless);
  }

  /** An access of element `at`, which the buffer does not have. */
  outside(site: number, lane: number, at: number, memory: Memory): void {
    if (isStandIn(memory) && at >= 0 && at < memory.room) return;
    this.#report('out-of-bounds', site, lane, () => ({
      element: at,
      message: `${this.#element(site, at)} lies outside its ${memory.length} elements`,
    }));
  }

  /** An access by indices of which one is outside its axis. */
  outsideAxes(site: number, lane: number, indices: readonly number[], memory: Memory): void {
    if (isStandIn(memory) && indices.every((x, i) => x >= 0 && x < Math.max(1, memory.shape[i] ?? 1))) return;
    this.#report('out-of-bounds', site, lane, () => ({
      element: indices.length === 1 ? (indices[0] ?? null) : null,
      message: `${memory.buffer.name}[${indices.join(', ')}] lies outside [${memory.extents.join(', ')}]`,
    }));
  }

  unwritten(site: number, lane: number, at: number): void {
    this.#report('unwritten-read', site, lane, () => ({
      element: at,
      message: `reads ${this.#element(site, at)}, which nobody has written`,
    }));
  }

  /** Stands for a divisor that is 0. Returns what makes quotient and remainder 0. */
  zero(site: number, lane: number): number {
    this.#report('division-by-zero', site, lane, () => ({ message: 'an integer is divided by 0' }));
    return Infinity;
  }

  fault(number: number): void {
    this.faults.add(number);
  }

  barrier(scope: 'workgroup' | 'subgroup', lanes: Int32Array, count: number, site: number): void {
    if (scope === 'workgroup') {
      if (count !== this.all.length)
        this.#divergent('divergent-barrier', 'barrier', lanes.subarray(0, count), 0, this.all.length, site);
      this.#clock.workgroupBarrier();
      return;
    }
    this.#subgroups(lanes, count, 'divergent-barrier', 'barrier', site, (subgroup) =>
      this.#clock.subgroupBarrier(subgroup),
    );
  }

  /** Folds one element of every lane's value over each subgroup. A site of −1 says nothing of divergence. */
  fold(
    op: FoldOp,
    scalar: ScalarType,
    values: Elements,
    results: Elements,
    lanes: Int32Array,
    count: number,
    site: number,
  ): void {
    const gathered = this.#values;
    this.#subgroups(lanes, count, 'divergent-subgroup', 'fold', site, (_, from, to) => {
      for (let i = from; i < to; i++) gathered[i - from] = values[lanes[i] as number] as number;
      const result = foldValues(op, scalar, gathered, to - from);
      for (let i = from; i < to; i++) results[lanes[i] as number] = result;
    });
  }

  shuffle(
    mode: 'index' | 'xor',
    values: Elements,
    sources: Elements,
    results: Elements,
    lanes: Int32Array,
    count: number,
    site: number,
  ): void {
    const width = this.#lanes;
    this.#subgroups(lanes, count, 'divergent-subgroup', 'shuffle', site, (subgroup, from, to) => {
      const present = new Set(lanes.subarray(from, to));
      for (const t of present) {
        const given = sources[t] as number;
        const source = mode === 'index' ? given : (t % width) ^ given;
        const inside = source >= 0 && source < width;
        if (!inside && site >= 0)
          this.#report('shuffle-out-of-range', site, t, () => ({
            message: `takes the value of lane ${source} of a subgroup of ${width} lanes`,
          }));
        const mate = subgroup * width + source;
        // A lane that is not here has nothing to give; that it is not here was reported.
        results[t] = values[inside && present.has(mate) ? mate : t] as number;
      }
    });
  }

  /** Moves fragments between subgroups and memory (null: zeros them); `corners` has the indices of every lane. */
  fragment(
    move: 'load' | 'store' | 'zero' | 'take',
    fragment: Memory,
    memory: Memory | null,
    corners: readonly Elements[],
    lanes: Int32Array,
    count: number,
    site: number,
    held: HeldTile | null,
  ): void {
    const [rows, columns] = fragment.extents as readonly [number, number];
    this.#subgroups(lanes, count, 'divergent-subgroup', 'fragment', site, (subgroup, from, to) => {
      const first = lanes[from] as number;
      const corner = corners.map((c) => c[first] as number);
      const astray = lanes.subarray(from, to).find((t) => corners.some((c, i) => c[t] !== corner[i]));
      if (astray !== undefined)
        this.#report('divergent-subgroup', site, astray, () => ({
          message: `lanes ${first} and ${astray} of one subgroup give different indices for a fragment`,
        }));
      const base = subgroup * fragment.length;
      if (move === 'take') {
        if (memory === null || held === null) return;
        for (const t of lanes.subarray(from, to))
          for (const [i, { row, column }] of heldBy(held, this.#lanes, t % this.#lanes, rows, columns).entries())
            this.#put(
              memory,
              t * memory.length + i,
              this.#get(fragment, base + row * columns + column, subgroup, site),
            );
        return;
      }
      for (let at = 0; at < rows * columns; at++) {
        if (memory === null) this.#put(fragment, base + at, 0);
        else {
          const place = [...corner];
          place[corner.length - 2] = (corner.at(-2) as number) + Math.floor(at / columns);
          place[corner.length - 1] = (corner.at(-1) as number) + (at % columns);
          this.#move(move, fragment, base + at, memory, place, subgroup, site);
        }
      }
    });
  }

  #move(
    move: 'load' | 'store' | 'zero',
    fragment: Memory,
    held: number,
    memory: Memory,
    place: readonly number[],
    subgroup: number,
    site: number,
  ): void {
    const there = memory.place(place);
    const lane = this.all.length + subgroup;
    if (there < 0 || there >= memory.length) {
      this.outsideAxes(site, this.#laneOf(lane), place, memory);
      if (move === 'load') this.#put(fragment, held, Number.NaN);
    } else if (move === 'store') {
      const value = this.#get(fragment, held, subgroup, site);
      this.write(memory, there, lane, site, value);
      this.#put(memory, there, value);
    } else {
      this.read(memory, there, lane, site);
      this.#put(fragment, held, this.#get(memory, there, subgroup, site));
    }
  }

  #get(memory: Memory, at: number, subgroup: number, site: number): number {
    const stamp = memory.written[at << memory.shift];
    if (memory.buffer.space === 'global' ? stamp !== 0 : stamp === this.#serial) return memory.data[at] as number;
    const { length } = memory;
    const element = memory.buffer.space === 'subgroup' ? at % length : at;
    this.#report('unwritten-read', site, subgroup * this.#lanes, () => ({
      element,
      message: `reads element ${element} of ${memory.buffer.name}, which nobody has written`,
    }));
    return Number.NaN;
  }

  #put(memory: Memory, at: number, value: number): void {
    memory.data[at] = value;
    memory.written[at << memory.shift] = memory.buffer.space === 'global' ? 1 : this.#serial;
  }

  multiply(
    shape: {
      readonly rows: number;
      readonly columns: number;
      readonly depth: number;
      readonly precision: MmaPrecision;
    },
    c: Memory,
    a: Memory,
    b: Memory,
    lanes: Int32Array,
    count: number,
    site: number,
  ): void {
    const { rows, columns, depth, precision } = shape;
    this.#subgroups(lanes, count, 'divergent-subgroup', 'mma', site, (g) => {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const at = g * c.length + i * columns + j;
          let sum = this.#get(c, at, g, site);
          for (let k = 0; k < depth; k++) {
            const left = roundTo(precision, this.#get(a, g * a.length + i * depth + k, g, site));
            const right = roundTo(precision, this.#get(b, g * b.length + k * columns + j, g, site));
            sum = Math.fround(sum + left * right);
          }
          this.#put(c, at, sum);
        }
      }
    });
  }

  /** Calls `each` with every subgroup that has active lanes, and where in `lanes` they stand; reports those that lack some. */
  #subgroups(
    lanes: Int32Array,
    count: number,
    kind: 'divergent-barrier' | 'divergent-subgroup',
    what: string,
    site: number,
    each: (subgroup: number, from: number, to: number) => void,
  ): void {
    for (let from = 0; from < count; ) {
      const subgroup = Math.floor((lanes[from] as number) / this.#lanes);
      const end = (subgroup + 1) * this.#lanes;
      let to = from + 1;
      while (to < count && (lanes[to] as number) < end) to++;
      if (to - from !== this.#lanes && site >= 0)
        this.#divergent(kind, what, lanes.subarray(from, to), subgroup * this.#lanes, this.#lanes, site);
      each(subgroup, from, to);
      from = to;
    }
  }

  /** `came`: the lanes that reached it, of the `complete` lanes from `first` on. */
  #divergent(
    kind: 'divergent-barrier' | 'divergent-subgroup',
    what: string,
    came: Int32Array,
    first: number,
    complete: number,
    site: number,
  ): void {
    this.#report(kind, site, first, () => {
      const lanes = [...came];
      const missing = Array.from({ length: complete }, (_, i) => first + i).filter((t) => !lanes.includes(t));
      return {
        lanes,
        message: `${what} reached by ${lanesText(lanes)} of ${complete} lanes, not by ${lanesText(missing)}`,
      };
    });
  }

  #report(
    kind: Detail['kind'],
    site: number,
    lane: number,
    detail: () => Partial<Detail> & { readonly message: string },
  ): void {
    const where = this.#sites[site];
    this.#findings.add(`${this.#key} ${kind} ${site}`, () => ({
      kind,
      kernel: this.#kernel.name,
      label: this.#kernel.label,
      place: this.#kernel.place ?? null,
      statement: where?.statement ?? '',
      path: where?.path ?? [],
      buffer: where?.buffer ?? null,
      workgroup: this.#group,
      lanes: [lane],
      other: null,
      element: null,
      times: 1,
      ...detail(),
    }));
  }

  #element(site: number, at: number): string {
    return `element ${at} of ${this.#sites[site]?.buffer}`;
  }

  /** A subgroup that acts as one is told as its first lane. */
  #laneOf(lane: number): number {
    return lane < this.all.length ? lane : (lane - this.all.length) * this.#lanes;
  }
}

/** What is read back of a value that is stored. */
const asStored = ({ data }: Memory, value: number): number =>
  data instanceof Float16Array ? Math.f16round(value) : data instanceof Int8Array ? (value << 24) >> 24 : value;

/**
 * Whether a buffer has no elements but one that may be read all the same: runtimes hand out no less than four bytes, and
 * kernels rely on it where an index into nothing is clamped and its check has failed. What it reads is NaN or 0.
 */
const isStandIn = (memory: Memory): boolean => memory.length === 0 && memory.buffer.access === 'read';
