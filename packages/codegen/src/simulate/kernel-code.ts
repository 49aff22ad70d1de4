/**
 * A kernel as the text of a JavaScript function: stretches as loops over the active lanes, and around them the control flow
 * that lanes go through together, each loop and branch with a list of the lanes that are in it.
 */
import { printStatement } from '../kernel-ir/print.ts';
import type { Expr, Kernel, KernelBuffer, Stmt, ValueType } from '../kernel-ir/types.ts';
import { mapExpr, mapOwnExpressions, visitExpressions, visitStatements } from '../kernel-ir/walk.ts';
import type { Site } from './findings.ts';
import { LaneCode, type LaneContext } from './lane-code.ts';
import type { Shadowed } from './memory.ts';
import { isCollective, type Plan, planOf } from './plan.ts';

export interface KernelText {
  /** The body of a function of (M, memories, dims, and the helpers of arithmetic). */
  readonly text: string;
  readonly sites: readonly Site[];
  /** What races each buffer can have, in the order of the kernel's buffers. */
  readonly shadowed: readonly Shadowed[];
}

type For = Extract<Stmt, { kind: 'for' }>;
/** The lanes in a block: a name of their list and of their count. */
interface Active {
  readonly lanes: string;
  readonly count: string;
}

const EVERYBODY: Active = { lanes: 'M.all', count: 'M.all.length' };

/** Writes a kernel. `flattened`: the pass `flatten` has run, so that the one index of a rank-1 buffer is physical. */
export function kernelText(kernel: Kernel, flattened: boolean): KernelText {
  return new Writer(kernel, flattened).write();
}

/** Which buffers lanes can race in: those that a lane writes and another can touch. */
function shadowedOf(kernel: Kernel): ReadonlyMap<string, Shadowed> {
  const read = new Set<string>();
  const written = new Set<string>();
  visitExpressions(kernel.body, (e) => {
    if (e.kind === 'load') read.add(e.buffer);
  });
  visitStatements(kernel.body, (s) => {
    if (s.kind === 'store') written.add(s.buffer);
    if (s.kind === 'fragment' && s.buffer !== null) (s.move === 'store' ? written : read).add(s.buffer);
  });
  const of = (b: KernelBuffer): Shadowed =>
    b.space === 'private' || b.space === 'subgroup' || !written.has(b.name)
      ? 'none'
      : read.has(b.name)
        ? 'all'
        : 'writes';
  return new Map(kernel.buffers.map((b) => [b.name, of(b)]));
}

class Writer {
  readonly #kernel: Kernel;
  readonly #plan: Plan;
  readonly #shadowed: ReadonlyMap<string, Shadowed>;
  readonly #head: string[] = [];
  readonly #lines: string[] = [];
  readonly #sites: Site[] = [];
  /** Statements whose folds and shuffles were lifted out of them, and what they were. */
  readonly #originals = new Map<Stmt, Stmt>();
  readonly #shared: Set<string>;
  readonly #identifiers = new Map<string, string>();
  readonly #path: string[] = [];
  readonly #code: LaneCode;
  #serial = 0;
  #statement: Stmt | null = null;
  /** Sites of the statement at hand, by buffer. */
  #here = new Map<string | null, number>();

  constructor(kernel: Kernel, flattened: boolean) {
    this.#kernel = kernel;
    this.#plan = planOf(kernel.body);
    this.#shared = new Set(this.#plan.shared);
    this.#shadowed = shadowedOf(kernel);
    const context: LaneContext = {
      kernel,
      flattened,
      buffers: new Map(
        kernel.buffers.map((buffer, id) => [
          buffer.name,
          { id, buffer, shadowed: this.#shadowed.get(buffer.name) ?? 'none' },
        ]),
      ),
      shared: this.#shared,
      site: (buffer) => this.#site(buffer),
      fresh: (prefix) => this.#fresh(prefix),
      identifier: (name) => this.#identifier(name),
      line: (text) => this.#line(text),
    };
    this.#code = new LaneCode(context);
  }

  write(): KernelText {
    for (const dim of this.#kernel.dims)
      this.#head.push(`const ${this.#identifier(`dim ${dim}`)} = dims.get(${JSON.stringify(dim)});`);
    for (const [i, b] of this.#kernel.buffers.entries()) {
      this.#head.push(`const m${i} = memories[${i}], d${i} = m${i}.data, w${i} = m${i}.written, n${i} = m${i}.length;`);
      this.#head.push(`const e${i} = m${i}.extents, h${i} = m${i}.shift;`);
      if (b.storage === 'f16') this.#head.push(`const b${i} = m${i}.bits;`);
    }
    const types = new Map<string, ValueType>();
    visitStatements(this.#kernel.body, (s) => {
      if (s.kind === 'let') types.set(s.name, s.value.type);
      else if (s.kind === 'var') types.set(s.name, s.type);
      else if (s.kind === 'for') types.set(s.index, { scalar: 'i32', lanes: 1 });
    });
    for (const name of this.#plan.shared) {
      const type = types.get(name);
      if (type !== undefined) this.#declare(name, type);
    }
    this.#head.push('let serial = M.start(0); M.steps = 0;');
    this.#block(this.#kernel.body, EVERYBODY);
    return {
      text: ["'use strict';", ...this.#head, ...this.#lines].join('\n'),
      sites: this.#sites,
      shadowed: this.#kernel.buffers.map((b) => this.#shadowed.get(b.name) ?? 'none'),
    };
  }

  #line(text: string): void {
    this.#lines.push(text);
  }

  #fresh(prefix: string): string {
    return `${prefix}${this.#serial++}`;
  }

  #identifier(name: string): string {
    const known = this.#identifiers.get(name);
    if (known !== undefined) return known;
    const made = `v${this.#identifiers.size}_`;
    this.#identifiers.set(name, made);
    return made;
  }

  #site(buffer: string | null): number {
    const known = this.#here.get(buffer);
    if (known !== undefined || this.#statement === null) return known ?? -1;
    this.#sites.push({ statement: printStatement(this.#statement), path: [...this.#path], buffer });
    this.#here.set(buffer, this.#sites.length - 1);
    return this.#sites.length - 1;
  }

  #at(s: Stmt): void {
    this.#statement = this.#originals.get(s) ?? s;
    this.#here = new Map();
  }

  /** Arrays of one element a lane for a name; `elements` of them for a vector. */
  #declare(name: string, type: ValueType): readonly string[] {
    const id = this.#identifier(name);
    const array = type.scalar === 'f32' ? 'Float32Array' : 'Int32Array';
    const each = Array.from({ length: type.lanes }, (_, i) => (type.lanes === 1 ? id : `${id}_${i}`));
    for (const part of each) this.#head.push(`const ${part} = new ${array}(M.all.length);`);
    return each;
  }

  #block(body: readonly Stmt[], active: Active): void {
    for (let i = 0; i < body.length; ) {
      const first = body[i] as Stmt;
      if (this.#plan.together(first)) {
        this.#together(first, active);
        i++;
        continue;
      }
      let end = i + 1;
      while (end < body.length && !this.#plan.together(body[end] as Stmt)) end++;
      const stretch = body.slice(i, end);
      this.#lanes(active, () => this.#alone(stretch));
      i = end;
    }
  }

  /** What `write` writes, done for every active lane in turn. */
  #lanes({ lanes, count }: Active, write: () => void): void {
    const k = this.#fresh('k');
    this.#line(`for (let ${k} = 0; ${k} < ${count}; ${k}++) {`);
    this.#line(`const t = ${lanes}[${k}];`);
    write();
    this.#line('}');
  }

  #alone(body: readonly Stmt[]): void {
    for (const s of body) {
      this.#at(s);
      switch (s.kind) {
        case 'let':
        case 'var':
          this.#define(s.name, s.kind === 'var' ? s.init : s.value);
          break;
        case 'assign': {
          const values = this.#code.bound(this.#code.parts(s.value));
          for (const [i, part] of this.#code.name(s.name, s.value.type).entries())
            this.#line(`${part} = ${values[i]};`);
          break;
        }
        case 'store':
          this.#code.store(s);
          break;
        case 'check':
          this.#line(`if (${this.#code.scalar(s.condition)} === 0) M.fault(${s.fault});`);
          break;
        case 'if':
          this.#line(`if (${this.#code.scalar(s.condition)} !== 0) {`);
          this.#inside(s, () => this.#alone(s.then));
          this.#line('} else {');
          this.#inside(s, () => this.#alone(s.otherwise));
          this.#line('}');
          break;
        case 'for':
          this.#aloneFor(s);
          break;
        default:
          break;
      }
    }
  }

  #inside(s: Stmt, write: () => void): void {
    this.#path.push(printStatement(this.#originals.get(s) ?? s).replace(/ \{$/, ''));
    write();
    this.#path.pop();
  }

  #define(name: string, value: Expr): void {
    const values = this.#code.parts(value);
    const declared = this.#shared.has(name) ? '' : 'let ';
    for (const [i, part] of this.#code.name(name, value.type).entries())
      this.#line(`${declared}${part} = ${values[i]};`);
  }

  #aloneFor(s: For): void {
    const [from, to] = this.#code.bound([this.#code.scalar(s.from), this.#code.scalar(s.to)]) as readonly [
      string,
      string,
    ];
    const i = this.#code.name(s.index, s.from.type)[0] as string;
    const counter = this.#shared.has(s.index) ? this.#fresh('i') : i;
    // The end is evaluated once, though what it names may change.
    const end = this.#fresh('end');
    const { own, dealt } = this.#dealing(s);
    this.#line(`const ${end} = ${to};`);
    const first = own === '0' ? from : `${from} + ${own} * ${s.step}`;
    this.#line(`for (let ${counter} = ${first}; ${counter} < ${end}; ${counter} += ${dealt * s.step}) {`);
    if (counter !== i) this.#line(`${i} = ${counter};`);
    this.#inside(s, () => this.#alone(s.body));
    this.#line('}');
  }

  /** Which iteration of each round is lane t's, and how many a round has. */
  #dealing(s: For): { readonly own: string; readonly dealt: number } {
    const { lanes = 1, subgroups = 1 } = this.#kernel.workgroup ?? {};
    if (s.binding === 'lane') return { own: `(t % ${lanes})`, dealt: lanes };
    if (s.binding === 'subgroup') return { own: `Math.floor(t / ${lanes})`, dealt: subgroups };
    return { own: '0', dealt: 1 };
  }

  #together(s: Stmt, active: Active): void {
    const { lanes, count } = active;
    const lifted = this.#lift(s, active);
    this.#at(s);
    switch (lifted.kind) {
      case 'for':
        if (lifted.binding === 'grid' || lifted.binding === 'workgroup') this.#workgroups(lifted, active);
        else this.#loop(lifted, active);
        return;
      case 'if':
        this.#branch(lifted, active);
        return;
      case 'barrier':
        this.#line(`M.barrier(${JSON.stringify(lifted.scope)}, ${lanes}, ${count}, ${this.#site(null)});`);
        return;
      case 'fragment': {
        const corners = lifted.indices.map((index) => this.#inArray(index, active));
        const [fragment, memory] = [lifted.fragment, lifted.buffer].map((name) => this.#memory(name));
        this.#line(
          `M.fragment(${JSON.stringify(lifted.move)}, ${fragment}, ${memory}, [${corners.join(', ')}], ${lanes}, ${count}, ${this.#site(lifted.buffer)}, ${JSON.stringify(lifted.held ?? null)});`,
        );
        return;
      }
      case 'mma': {
        const { rows, columns, depth, precision } = lifted;
        const parts = [lifted.accumulator, lifted.a, lifted.b].map((name) => this.#memory(name));
        const shape = JSON.stringify({ rows, columns, depth, precision });
        this.#line(`M.multiply(${shape}, ${parts.join(', ')}, ${lanes}, ${count}, ${this.#site(null)});`);
        return;
      }
      default:
        this.#lanes(active, () => this.#alone([lifted]));
    }
  }

  #memory(name: string | null): string {
    if (name === null) return 'null';
    const id = this.#kernel.buffers.findIndex((b) => b.name === name);
    if (id < 0) throw new Error(`there is no buffer ${name}`);
    return `m${id}`;
  }

  /** An expression evaluated for all active lanes into an array of its own. */
  #inArray(e: Expr, active: Active): string {
    return this.#inArrays(e, active)[0] as string;
  }

  #inArrays(e: Expr, active: Active): readonly string[] {
    const arrays = this.#declare(this.#fresh('value '), e.type);
    this.#lanes(active, () => {
      const values = this.#code.parts(e);
      for (const [i, array] of arrays.entries()) this.#line(`${array}[t] = ${values[i]};`);
    });
    return arrays;
  }

  /** The statement with its folds and shuffles done, and their results in arrays. */
  #lift(s: Stmt, active: Active): Stmt {
    this.#at(s);
    const lift = (e: Expr): Expr =>
      mapExpr(e, (x) => {
        if (!isCollective(x) || (x.kind !== 'subgroup_fold' && x.kind !== 'shuffle')) return x;
        const values = this.#inArrays(x.value, active);
        const sources = x.kind === 'shuffle' ? this.#inArray(x.lane, active) : '';
        const name = this.#fresh('result ');
        this.#shared.add(name);
        const results = this.#declare(name, x.type);
        const site = this.#site(null);
        for (const [i, result] of results.entries()) {
          const rest = `${result}, ${active.lanes}, ${active.count}, ${i === 0 ? site : -1}`;
          this.#line(
            x.kind === 'shuffle'
              ? `M.shuffle('${x.mode}', ${values[i]}, ${sources}, ${rest});`
              : `M.fold('${x.op}', '${x.type.scalar}', ${values[i]}, ${rest});`,
          );
        }
        return { kind: 'ref', name, type: x.type };
      });
    const lifted = mapOwnExpressions(s, lift);
    this.#originals.set(lifted, s);
    return lifted;
  }

  #workgroups(s: For, active: Active): void {
    const [from, to] = [this.#inArray(s.from, active), this.#inArray(s.to, active)];
    const w = this.#fresh('group');
    const end = this.#fresh('end');
    this.#line(`for (let ${w} = ${from}[0], ${end} = ${to}[0]; ${w} < ${end}; ${w} += ${s.step}) {`);
    this.#line(`serial = M.start(${w});`);
    this.#line(`${this.#identifier(s.index)}.fill(${w});`);
    this.#inside(s, () => this.#block(s.body, active));
    this.#line('}');
  }

  #list(): Active {
    const lanes = this.#fresh('lanes');
    const count = this.#fresh('count');
    this.#head.push(`const ${lanes} = new Int32Array(M.all.length);`);
    return { lanes, count };
  }

  #loop(s: For, active: Active): void {
    const [from, to] = [this.#inArray(s.from, active), this.#inArray(s.to, active)];
    const running = this.#list();
    const round = this.#fresh('round');
    const { own, dealt } = this.#dealing(s);
    const index = this.#code.name(s.index, s.from.type)[0] as string;
    this.#line(`for (let ${round} = 0; ; ${round} += ${dealt * s.step}) {`);
    this.#line(`let ${running.count} = 0;`);
    this.#lanes(active, () => {
      this.#line(`const at = ${from}[t] + ${round} + ${own} * ${s.step};`);
      this.#line(`if (at < ${to}[t]) { ${index} = at; ${running.lanes}[${running.count}++] = t; }`);
    });
    this.#line(`if (${running.count} === 0) break;`);
    this.#inside(s, () => this.#block(s.body, running));
    this.#line('}');
  }

  #branch(s: Extract<Stmt, { kind: 'if' }>, active: Active): void {
    const [taken, left] = [this.#list(), this.#list()];
    this.#line(`let ${taken.count} = 0, ${left.count} = 0;`);
    this.#lanes(active, () => {
      this.#line(`if (${this.#code.scalar(s.condition)} !== 0) ${taken.lanes}[${taken.count}++] = t;`);
      this.#line(`else ${left.lanes}[${left.count}++] = t;`);
    });
    for (const [branch, list] of [
      [s.then, taken],
      [s.otherwise, left],
    ] as const) {
      if (branch.length === 0) continue;
      this.#line(`if (${list.count} > 0) {`);
      this.#inside(s, () => this.#block(branch, list));
      this.#line('}');
    }
  }
}
