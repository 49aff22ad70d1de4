/**
 * Where the lanes of a workgroup part ways. A barrier, a fold over a subgroup, a shuffle and a matrix multiply are done by
 * all lanes of their scope together: in a branch that only some of them take, a machine hangs or computes garbage.
 *
 * A value is `uniform` (the same in all lanes of the workgroup), varies between `subgroups`, or between `lanes`; control flow
 * varies as what it depends on. Undecidable is decided as "varies": a kernel that passes is safe.
 */
import type { Expr, Kernel, Stmt } from './types.ts';
import { children, expressionsOf, visitExpr } from './walk.ts';

type For = Extract<Stmt, { kind: 'for' }>;

/** 0 uniform, 1 varies between subgroups, 2 varies between lanes of a subgroup. */
type Level = 0 | 1 | 2;
const UNIFORM: Level = 0;
const BY_SUBGROUP: Level = 1;
const BY_LANE: Level = 2;
const highest = (levels: Iterable<Level>): Level => [...levels].reduce<Level>((a, b) => (a > b ? a : b), UNIFORM);

/** The first operation of many lanes that not all of them may reach, told for people; null when there is none. */
export function divergence(kernel: Kernel): string | null {
  if (kernel.workgroup === undefined) return null;
  const flow = new Flow(kernel);
  // Variables of loops: what one round makes varying, the next one reads.
  do {
    flow.changed = false;
    flow.block(kernel.body, UNIFORM);
  } while (flow.changed);
  return flow.problem;
}

class Flow {
  changed = false;
  problem: string | null = null;
  readonly #kernel: Kernel;
  readonly #levels = new Map<string, Level>();
  readonly #private: ReadonlySet<string>;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#private = new Set(kernel.buffers.filter((b) => b.space === 'private').map((b) => b.name));
  }

  block(body: readonly Stmt[], control: Level): void {
    for (const s of body) this.statement(s, control);
  }

  private raise(name: string, level: Level): void {
    if ((this.#levels.get(name) ?? -1) >= level) return;
    this.#levels.set(name, level);
    this.changed = true;
  }

  private statement(s: Stmt, control: Level): void {
    for (const e of expressionsOf(s)) this.collectives(e, control);
    switch (s.kind) {
      case 'for': {
        const inside = highest([control, this.level(s.from), this.level(s.to), this.dealing(s)]);
        this.raise(
          s.index,
          highest([inside, s.binding === 'lane' ? BY_LANE : s.binding === 'subgroup' ? BY_SUBGROUP : UNIFORM]),
        );
        this.block(s.body, inside);
        return;
      }
      case 'if': {
        const inside = highest([control, this.level(s.condition)]);
        this.block(s.then, inside);
        this.block(s.otherwise, inside);
        return;
      }
      case 'let':
        this.raise(s.name, this.level(s.value));
        return;
      case 'var':
        this.raise(s.name, this.level(s.init));
        return;
      case 'assign':
        this.raise(s.name, highest([control, this.level(s.value)]));
        return;
      case 'barrier':
        this.together(`barrier ${s.scope}`, s.scope === 'workgroup' ? UNIFORM : BY_SUBGROUP, control);
        return;
      case 'mma':
      case 'fragment':
        this.together(s.kind, BY_SUBGROUP, control);
        return;
      default:
        return;
    }
  }

  /** Whether the iterations of a dealt-out loop come out even; where they don't, some lanes rest in the last round. */
  private dealing(s: For): Level {
    const { workgroup } = this.#kernel;
    if (workgroup === undefined || (s.binding !== 'lane' && s.binding !== 'subgroup')) return UNIFORM;
    const dealt = s.binding === 'lane' ? workgroup.lanes : workgroup.subgroups;
    const even =
      s.from.kind === 'literal' &&
      s.to.kind === 'literal' &&
      Math.ceil((s.to.value - s.from.value) / s.step) % dealt === 0;
    return even ? UNIFORM : s.binding === 'lane' ? BY_LANE : BY_SUBGROUP;
  }

  private collectives(e: Expr, control: Level): void {
    visitExpr(e, (x) => {
      if (x.kind === 'subgroup_fold' || x.kind === 'shuffle') this.together(x.kind, BY_SUBGROUP, control);
    });
  }

  private together(what: string, allowed: Level, control: Level): void {
    if (control <= allowed) return;
    this.problem ??= `${what} where ${control === BY_LANE ? 'lanes' : 'subgroups'} of a workgroup part ways`;
  }

  private level(e: Expr): Level {
    switch (e.kind) {
      case 'ref':
        return this.#levels.get(e.name) ?? UNIFORM;
      case 'builtin':
        return e.which === 'subgroup' ? BY_SUBGROUP : BY_LANE;
      case 'load':
        return this.#private.has(e.buffer) ? BY_LANE : highest(e.indices.map((i) => this.level(i)));
      case 'subgroup_fold':
        return this.level(e.value) === UNIFORM ? UNIFORM : BY_SUBGROUP;
      case 'shuffle':
        if (this.level(e.value) === UNIFORM) return UNIFORM;
        return e.mode === 'index' && this.level(e.lane) < BY_LANE ? BY_SUBGROUP : BY_LANE;
      default:
        return highest(children(e).map((c) => this.level(c)));
    }
  }
}
