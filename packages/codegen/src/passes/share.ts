/**
 * The pass `share`: within a block, an expression that occurs twice is computed once, under a name. Loads are shared as
 * long as nothing stores to their buffer in between; expressions over a variable as long as it keeps its value.
 */
import * as k from '../kernel-ir/build.ts';
import type { Expr, Kernel, Stmt } from '../kernel-ir/types.ts';
import {
  children,
  eachChild,
  eachOwnExpression,
  mapBlocks,
  mapChildren,
  mapOwnExpressions,
  Names,
  visitStatements,
} from '../kernel-ir/walk.ts';

/** Gives equal expressions equal numbers, per kernel. */
class Numbering {
  readonly #numbers = new Map<string, number>();
  readonly #known = new Map<Expr, number>();
  /** What the kernel changes anywhere, as `changesOf` says it. */
  readonly #changing: ReadonlySet<string>;
  /** By number, what of that the value follows from. */
  readonly #sources: (readonly string[])[] = [];

  constructor(kernel: Kernel) {
    this.#changing = changesOf(kernel.body);
  }

  of(e: Expr): number {
    const known = this.#known.get(e);
    if (known !== undefined) return known;
    let key = shape(e);
    let sources = this.#ownSources(e);
    for (const child of children(e)) {
      const part = this.of(child);
      key += `,${part}`;
      sources = union(sources, this.sources(part));
    }
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#sources.length;
      this.#numbers.set(key, number);
      this.#sources.push(sources);
    }
    this.#known.set(e, number);
    return number;
  }

  /** What has to stay as it is for the value of this number to keep. */
  sources(number: number): readonly string[] {
    return this.#sources[number] ?? NOTHING;
  }

  #ownSources(e: Expr): readonly string[] {
    if (e.kind === 'ref') return this.#changing.has(e.name) ? [e.name] : NOTHING;
    if (e.kind !== 'load' || this.#changing.size === 0) return NOTHING;
    return [`buffer ${e.buffer}`, BARRIER].filter((source) => this.#changing.has(source));
  }
}

const NOTHING: readonly string[] = [];
const BARRIER = 'barrier';

const union = (a: readonly string[], b: readonly string[]): readonly string[] =>
  b.length === 0 || a === b ? a : a.length === 0 ? b : [...new Set([...a, ...b])];

const typeKey = ({ type }: Expr): string => `${type.scalar}${type.lanes}`;

function shape(e: Expr): string {
  switch (e.kind) {
    case 'literal':
      return `#${Object.is(e.value, -0) ? '-0' : e.value}:${typeKey(e)}`;
    case 'ref':
      return `r:${e.name}`;
    case 'dim':
      return `d:${e.name}`;
    case 'builtin':
      return `b:${e.which}`;
    case 'load':
      return `l:${e.buffer}+${e.offset}:${typeKey(e)}`;
    case 'op':
      return `${e.op}:${typeKey(e)}`;
    case 'extract':
      return `x:${e.lane}`;
    case 'fold':
    case 'subgroup_fold':
      return `${e.kind}:${e.op}`;
    case 'shuffle':
      return `s:${e.mode}`;
    default:
      return `${e.kind}:${typeKey(e)}`;
  }
}

/** Not worth a name: at hand already, or folded into the instruction that uses it. */
const isTrivial = (e: Expr): boolean =>
  e.kind === 'literal' ||
  e.kind === 'ref' ||
  e.kind === 'dim' ||
  e.kind === 'builtin' ||
  (e.kind === 'splat' && e.value.kind === 'literal') ||
  (e.kind === 'lanes' && e.elements.every((x) => x.kind === 'literal'));

/** What statements change: buffers stored to, variables assigned. */
function changesOf(body: readonly Stmt[]): ReadonlySet<string> {
  const changed = new Set<string>();
  visitStatements(body, (x) => {
    if (x.kind === 'store') changed.add(`buffer ${x.buffer}`);
    else if (x.kind === 'assign') changed.add(x.name);
    else if (x.kind === 'fragment' && x.move !== 'load' && x.buffer !== null) changed.add(`buffer ${x.buffer}`);
    else if (x.kind === 'barrier') changed.add(BARRIER);
  });
  return changed;
}

/** Shares values. Index arithmetic stays whole, because addresses have yet to be put together from it. */
export const shareValues = (kernel: Kernel): Kernel => shareIn(kernel, isArithmetic);

/** Shares everything. */
export const share = (kernel: Kernel): Kernel => shareIn(kernel, () => false);

/** Integer operations and their operands' names: what indices are made of. */
const isArithmetic = (e: Expr): boolean => e.kind === 'op' && e.type.scalar === 'i32';

function shareIn(kernel: Kernel, skip: (e: Expr) => boolean): Kernel {
  const names = new Names(kernel);
  return { ...kernel, body: shareBlock(kernel.body, names, new Numbering(kernel), skip) };
}

function push(lists: Map<string, number[]>, key: string, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** The occurrences of one value while it keeps it. */
interface Group {
  uses: number;
  name: string | null;
}

function isShared(groups: ReadonlyMap<number, Group>): boolean {
  for (const group of groups.values()) if (group.uses > 1) return true;
  return false;
}

function shareBlock(
  block: readonly Stmt[],
  names: Names,
  numbering: Numbering,
  skip: (e: Expr) => boolean,
): readonly Stmt[] {
  const body = block.map((s) => mapBlocks(s, (b) => shareBlock(b, names, numbering, skip)));
  // First reading: which expressions occur more than once while they keep their value.
  const alive = new Map<number, Group>();
  const groups: Map<number, Group>[] = [];
  const dependants = new Map<string, number[]>();
  body.forEach((s) => {
    const mine = new Map<number, Group>();
    const count = (e: Expr): void => {
      if (isTrivial(e)) return;
      if (skip(e)) {
        eachChild(e, count);
        return;
      }
      const number = numbering.of(e);
      const group = alive.get(number);
      if (group === undefined) {
        const fresh: Group = { uses: 1, name: null };
        for (const name of numbering.sources(number)) push(dependants, name, number);
        alive.set(number, fresh);
        mine.set(number, fresh);
        eachChild(e, count);
      } else {
        group.uses++;
        mine.set(number, group);
      }
    };
    eachOwnExpression(s, count);
    groups.push(mine);
    for (const name of changesOf([s])) {
      for (const number of dependants.get(name) ?? []) alive.delete(number);
      dependants.delete(name);
    }
  });
  // Second reading: name them at their first use.
  const result: Stmt[] = [];
  body.forEach((s, at) => {
    const mine = groups[at] as Map<number, Group>;
    if (!isShared(mine)) {
      result.push(s);
      return;
    }
    const use = (e: Expr): Expr => {
      if (isTrivial(e)) return e;
      if (skip(e)) return mapChildren(e, use);
      const group = mine.get(numbering.of(e));
      if (group !== undefined && group.uses > 1) {
        if (group.name === null) {
          const value = mapChildren(e, use);
          group.name = names.fresh(e.kind === 'load' ? `${e.buffer}_at` : 'shared');
          result.push(k.letStmt(group.name, value));
        }
        return k.ref(group.name, e.type);
      }
      return mapChildren(e, use);
    };
    const changed = mapOwnExpressions(s, use);
    result.push(changed);
  });
  return result;
}
