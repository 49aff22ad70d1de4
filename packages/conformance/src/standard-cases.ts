/** The standard layers at sizes that exercise tails: odd widths, widths of one, no level, no token, one, a hundred. */
import { standardLayerNames, standardSource } from '@espalier/ir';

export interface StandardCase {
  readonly layer: string;
  /** Compile-time dims. */
  readonly dims: Readonly<Record<string, number>>;
  /** Values of the runtime dims, a run each. */
  readonly runs: readonly Readonly<Record<string, number>>[];
  /** Exclusive bounds of integer inputs. */
  readonly integers: (run: Readonly<Record<string, number>>) => Readonly<Record<string, number>>;
}

const runtimeDims: ReadonlySet<string> = new Set(['T', 'B', 'S', 'N']);

/** Values for every compile-time dim of the library. */
const widths: readonly Readonly<Record<string, number>>[] = [
  { D: 24, H: 40, O: 24, W: 8, M: 12, depth: 3, trees: 2, heads: 2, width: 8, V: 50, P: 64, K: 2, C: 3, E: 4 },
  { D: 35, H: 70, O: 19, W: 5, M: 7, depth: 5, trees: 1, heads: 3, width: 5, V: 11, P: 17, K: 3, C: 2, E: 1 },
  { D: 3, H: 5, O: 2, W: 1, M: 1, depth: 0, trees: 1, heads: 1, width: 1, V: 1, P: 9, K: 1, C: 1, E: 2 },
  { D: 1, H: 1, O: 1, W: 2, M: 3, depth: 1, trees: 5, heads: 1, width: 3, V: 2, P: 9, K: 2, C: 9, E: 3 },
];

const lengths: readonly Readonly<Record<string, number>>[] = [
  { T: 13, B: 2, S: 7, N: 3 },
  { T: 1, B: 1, S: 1, N: 1 },
  { T: 100, B: 3, S: 9, N: 8 },
  { T: 0, B: 0, S: 5, N: 0 },
];

const parametersOf = (name: string): readonly string[] =>
  (/layer \w+\(([^;)]*)/.exec(standardSource(name))?.[1] ?? '').split(',').map((p) => p.trim());

/** Every standard layer at every set of widths, each with runs of every length. */
export const standardCases = (): readonly StandardCase[] =>
  standardLayerNames.flatMap((layer) => {
    const parameters = parametersOf(layer);
    const pick = (from: Readonly<Record<string, number>>, isRuntime: boolean): Record<string, number> =>
      Object.fromEntries(parameters.filter((p) => runtimeDims.has(p) === isRuntime).map((p) => [p, from[p] ?? 1]));
    return widths.map(
      (set): StandardCase => ({
        layer,
        dims: pick(set, false),
        runs: lengths.map((run) => pick(run, true)),
        integers: (run) => ({ ids: set['V'] ?? 1, types: set['K'] ?? 1, at: run['T'] ?? 1, mask: 2 }),
      }),
    );
  });
