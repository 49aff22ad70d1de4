/** Which groups of contenders a bench measures, before anything is made: names only, so that they can be listed and filtered. */
import type { Mode } from './own.ts';

/** Who takes part beside us: all baselines of the kind of work, or those of the published comparisons. */
export type Company = 'all' | 'paper';

export interface Group {
  readonly name: string;
  readonly kind: 'dense' | 'tree' | 'encoder';
  readonly tokens: number;
  readonly threads: number;
  readonly mode: Mode;
  /** Neurons of a dense layer, levels of a tree less one, or layers of an encoder. */
  readonly size: number;
  readonly width: number;
  /** 'all' if absent. */
  readonly company?: Company;
}

export interface PlanOptions {
  readonly tokens: readonly number[];
  readonly threads: readonly number[];
  readonly modes: readonly Mode[];
  /** Also what takes minutes: 16,384 tokens, 4095 neurons everywhere. */
  readonly long: boolean;
  readonly filter: string;
}

const at = (group: Group): string =>
  `${group.name}, ${group.tokens} ${group.tokens === 1 ? 'token' : 'tokens'}, ${group.threads} ${group.threads === 1 ? 'thread' : 'threads'}, ${group.mode}`;

/** How a group is named in lists and filters. */
export const groupName = at;

type Where = Pick<Group, 'tokens' | 'threads' | 'mode'>;

const dense = (size: number, where: Where): Group => ({
  ...{ name: `dense 768-${size}-768`, kind: 'dense', size, width: 768 },
  ...where,
});
const tree = (where: Where): Group => ({
  ...{ name: 'tree 768, 4095 neurons', kind: 'tree', size: 11, width: 768 },
  ...where,
});
const encoder = (size: number, where: Where): Group => ({
  ...{ name: `encoder, ${size} layers of 768`, kind: 'encoder', size, width: 768 },
  ...where,
});

/** The groups that the options call for. */
export function plan({ tokens, threads, modes, long, filter }: PlanOptions): readonly Group[] {
  const groups: Group[] = [];
  for (const mode of modes)
    for (const count of threads) {
      const each = tokens.map((t): Where => ({ tokens: t, threads: count, mode }));
      groups.push(...each.map((where) => dense(3072, where)));
      if (long) groups.push(...each.map((where) => dense(4095, where)));
      groups.push(...each.map(tree));
      groups.push(encoder(12, { tokens: 128, threads: count, mode }));
    }
  return filtered(groups, filter);
}

/** Groups whose name has all the words. */
export function filtered(groups: readonly Group[], filter: string): readonly Group[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return groups.filter((g) => words.every((w) => at(g).toLowerCase().includes(w)));
}

/** The groups of a kind of run, before any filter. */
export function groupsOf(
  which: 'usual' | 'targets' | 'paper' | 'record',
  usual: Omit<PlanOptions, 'filter'>,
): readonly Group[] {
  if (which === 'targets') return targetGroups();
  if (which === 'paper') return paperGroups();
  return which === 'record' ? [...targetGroups(), ...paperGroups()] : plan({ ...usual, filter: '' });
}

/** What the table of targets needs (`targets.ts`): 128-bit first, since 256-bit is a flag of the whole process. */
export function targetGroups(): readonly Group[] {
  const where = (tokens: number, mode: Mode, threads = 1): Where => ({ tokens, threads, mode });
  return [
    ...[1, 128, 1024].map((t) => dense(3072, where(t, 'plain'))),
    ...[1, 128, 1024, 16384].map((t) => tree(where(t, 'plain'))),
    encoder(12, where(128, 'plain')),
    ...[1, 128, 1024].map((t) => dense(3072, where(t, 'wide'))),
    ...[1, 128, 1024, 16384].map((t) => tree(where(t, 'wide'))),
    encoder(12, where(128, 'wide')),
    ...[128, 1024].map((t) => dense(3072, where(t, 'wide', 2))),
  ];
}

/** How names of the groups for the published comparisons begin. */
export const PAPER = 'paper: ';

/** The published comparisons (`paper.ts`): batch 16,384 as published, whole models, and a layer beyond BERT's width. */
export function paperGroups(): readonly Group[] {
  const where = { threads: 1, mode: 'wide', company: 'paper' } as const;
  const wide = { name: 'tree 4096, 32767 neurons', kind: 'tree', size: 14, width: 4096 } as const;
  return [
    { ...tree({ ...where, tokens: 16384 }), name: `${PAPER}tree 768, 4095 neurons`, ...where },
    { ...dense(3072, { ...where, tokens: 16384 }), name: `${PAPER}dense 768-3072-768`, ...where },
    { ...encoder(6, { ...where, tokens: 128 }), name: `${PAPER}DistilBERT's shape, 6 layers of 768`, ...where },
    { ...encoder(12, { ...where, tokens: 128 }), name: `${PAPER}BERT-base's shape, 12 layers of 768`, ...where },
    { ...wide, name: `${PAPER}${wide.name}`, tokens: 1, ...where },
    { ...wide, name: `${PAPER}${wide.name}`, tokens: 128, ...where },
  ];
}
