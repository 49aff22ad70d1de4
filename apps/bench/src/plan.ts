/** Which groups of contenders a bench measures, before anything is made: names only, so that they can be listed and filtered. */
import type { Mode } from './own.ts';

export interface Group {
  readonly name: string;
  readonly kind: 'dense' | 'tree' | 'encoder';
  readonly tokens: number;
  readonly threads: number;
  readonly mode: Mode;
  /** Neurons of a dense layer, or levels of a tree less one. */
  readonly size: number;
  readonly width: number;
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

/** The groups that the options call for. */
export function plan({ tokens, threads, modes, long, filter }: PlanOptions): readonly Group[] {
  const groups: Group[] = [];
  for (const mode of modes)
    for (const count of threads) {
      const layer = (kind: 'dense' | 'tree', name: string, size: number): void => {
        for (const t of tokens) groups.push({ name, kind, tokens: t, threads: count, mode, size, width: 768 });
      };
      layer('dense', 'dense 768-3072-768', 3072);
      if (long) layer('dense', 'dense 768-4095-768', 4095);
      layer('tree', 'tree 768, 4095 neurons', 11);
      for (const sequence of [128])
        groups.push({
          name: 'encoder, 12 layers of 768',
          kind: 'encoder',
          tokens: sequence,
          threads: count,
          mode,
          size: 12,
          width: 768,
        });
    }
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  return groups.filter((g) => words.every((w) => at(g).toLowerCase().includes(w)));
}
