/** Two renderings compared: which kernels went, came and changed, and what changed about their launches. */
import { keyOf, type RenderedKernel, type Rendering } from './rendering.ts';

/** A text that differs. */
export interface ChangedText {
  /** The rendering's key with the kernel: "ff D=24 · wasm · best · k0". */
  readonly where: string;
  readonly case: string;
  readonly target: string;
  readonly extension: string;
  /** A kernel, the manifest beside it, or what the compiler said when it refused. */
  readonly kind: 'kernel' | 'manifest' | 'error';
  readonly statements: string;
  readonly before: string;
  readonly after: string;
  /** "scratch 0 → 64": what changed about the launch. */
  readonly facts: readonly string[];
}

/** A kernel that only one side has. */
export interface LoneKernel {
  readonly where: string;
  /** The case, or EVERY_LAYER where the other side lacks the whole target. */
  readonly case: string;
  readonly target: string;
  readonly statements: string;
}

export interface Comparison {
  readonly changed: readonly ChangedText[];
  readonly added: readonly LoneKernel[];
  readonly removed: readonly LoneKernel[];
  /** Pairs of texts that were compared, and how many of them are equal. */
  readonly compared: number;
  readonly equal: number;
}

/** What stands in a table for the kernels of a target that one side lacks altogether. */
export const EVERY_LAYER = '(every layer)';

/** Compares by key; kernels of a rendering by their statements, else by their names. */
export function compare(base: readonly Rendering[], head: readonly Rendering[]): Comparison {
  const before = new Map(base.map((one) => [keyOf(one), one]));
  const after = new Map(head.map((one) => [keyOf(one), one]));
  const changed: ChangedText[] = [];
  const added: LoneKernel[] = [];
  const removed: LoneKernel[] = [];
  let compared = 0;
  for (const key of new Set([...after.keys(), ...before.keys()])) {
    const old = before.get(key);
    const fresh = after.get(key);
    if (old === undefined || fresh === undefined) {
      const one = fresh ?? old;
      if (one === undefined) continue;
      const elsewhere = old === undefined ? base : head;
      const known = elsewhere.some((other) => other.target === one.target);
      const kernels = one.kernels.map((k) => ({ ...lone(one, k), ...(known ? {} : { case: EVERY_LAYER }) }));
      (old === undefined ? added : removed).push(...kernels);
      continue;
    }
    const { pairs, ...apart } = pair(old.kernels, fresh.kernels);
    added.push(...apart.added.map((kernel) => lone(fresh, kernel)));
    removed.push(...apart.removed.map((kernel) => lone(old, kernel)));
    const texts = [...pairs.map(([a, b]) => kernelChange(fresh, a, b)), ...sideTexts(old, fresh)];
    compared += texts.length;
    changed.push(...texts.filter((text) => text.before !== text.after || text.facts.length > 0));
  }
  return { changed, added, removed, compared, equal: compared - changed.length };
}

const lone = (one: Rendering, kernel: RenderedKernel): LoneKernel => ({
  where: `${keyOf(one)} · ${kernel.name}`,
  case: one.case,
  target: one.target,
  statements: kernel.statements,
});

function kernelChange(one: Rendering, old: RenderedKernel, fresh: RenderedKernel): ChangedText {
  const facts = (['strategy', 'flops', 'grid', 'workgroup', 'scratch', 'when'] as const)
    .filter((fact) => old[fact] !== fresh[fact])
    .map((fact) => `${fact} ${old[fact]} → ${fresh[fact]}`);
  return {
    ...lone(one, fresh),
    extension: one.extension,
    kind: 'kernel',
    before: old.text,
    after: fresh.text,
    facts,
  };
}

function sideTexts(old: Rendering, fresh: Rendering): readonly ChangedText[] {
  const side = (kind: 'manifest' | 'error', before: string, after: string): ChangedText => ({
    where: `${keyOf(fresh)} · ${kind}`,
    case: fresh.case,
    target: fresh.target,
    extension: kind === 'manifest' ? 'json' : 'txt',
    kind,
    statements: '',
    before,
    after,
    facts: [],
  });
  const errors = old.error === null && fresh.error === null ? [] : [side('error', old.error ?? '', fresh.error ?? '')];
  return [side('manifest', old.manifest, fresh.manifest), ...errors];
}

interface Paired {
  readonly pairs: readonly (readonly [RenderedKernel, RenderedKernel])[];
  readonly added: readonly RenderedKernel[];
  readonly removed: readonly RenderedKernel[];
}

/** "k0_few" → "few": kernels of one unit for different numbers of rows. */
const variantOf = ({ name }: RenderedKernel): string => /_(.*)$/.exec(name)?.[1] ?? '';

/** By what kernels of two sides belong together, the surest first. */
const likeness: readonly ((kernel: RenderedKernel) => string)[] = [
  ({ name, statements }) => JSON.stringify([name, statements]),
  (kernel) => JSON.stringify([variantOf(kernel), kernel.statements]),
  ({ statements }) => statements,
  ({ name }) => name,
];

function pair(old: readonly RenderedKernel[], fresh: readonly RenderedKernel[]): Paired {
  const left = [...old];
  const found = new Map<RenderedKernel, RenderedKernel>();
  for (const by of likeness)
    for (const kernel of fresh) {
      const at = found.has(kernel) ? -1 : left.findIndex((one) => by(one) === by(kernel));
      if (at >= 0) found.set(kernel, left.splice(at, 1)[0] as RenderedKernel);
    }
  const pairs = fresh.flatMap((kernel) => {
    const partner = found.get(kernel);
    return partner === undefined ? [] : [[partner, kernel] as const];
  });
  return { pairs, added: fresh.filter((kernel) => !found.has(kernel)), removed: left };
}
