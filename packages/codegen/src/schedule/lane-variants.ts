/**
 * The forms a lane machine computes a unit in, by its number of rows: the part of a target's `variants` that all such machines share. Sizes and
 * thresholds are each target's own.
 */
import { storageBytes } from '@espalier/artefact';
import { type LayerIR, Sizes } from '@espalier/ir';
import type { GroupedWalk } from '../lower/grouped-walk.ts';
import { accessesOf, alphaKey, mentionsAny } from '../lower/layer-expr.ts';
import {
  type ContractUnit,
  columnsOf,
  outermostReductions,
  type RowsUnit,
  sharesAlongRows,
  type Unit,
  walks,
} from '../lower/partition.ts';
import { nodesAfter } from '../lower/reachable.ts';
import { sortedWalk, sortingBytes } from '../lower/sorted-walk.ts';
import { levelsFor, planSubtrees, subtreeBytes } from '../lower/subtrees-plan.ts';
import type { TeamShape } from '../lower/team.ts';
import { isTileable, tileBytes } from '../lower/tile.ts';
import type { Form, Tile, Variant } from '../target.ts';

/** A tile for contractions of at least `from` rows and `columns` columns. */
export interface TileChoice {
  readonly from: number;
  readonly columns: number;
  /** How many tiles there must be at least, where a product is WIDE: fewer leave too much of the machine idle, and smaller ones are better. */
  readonly tiles?: number;
  /** Most sums computed side by side, each with weights and registers of its own (the two of a gated layer); any number when absent. */
  readonly mostSums?: number;
  readonly tile: Tile;
}

/** How walks of fewer than `below` rows are taken by subtrees. */
export interface SubtreeChoice extends TeamShape {
  readonly below: number;
  /** Bytes of workgroup memory a unit may take. */
  readonly memory: number;
  /** Most levels of a round; absent, as many as there are teams for. */
  readonly mostLevels?: number;
}

/** The form of a unit that walks trees, or null where its shape or memory is against it. */
function subtreesForm(unit: RowsUnit, { subgroups, lanes, team, memory, mostLevels }: SubtreeChoice): Form | null {
  const plan = planSubtrees(unit);
  if (plan === null) return null;
  const shape: TeamShape = { subgroups, lanes, team };
  const levels = Math.min(levelsFor(plan, shape), mostLevels ?? Number.POSITIVE_INFINITY);
  return subtreeBytes(unit, plan, shape, levels) <= memory ? { form: 'subtrees', levels, ...shape } : null;
}

/** Columns of a product whose tiles are counted: narrower ones are little work in any case. */
const WIDE = 256;

/** The number of rows from which on a tile pays. */
function startOf({ from, tiles, tile }: TileChoice, columns: number): number {
  if (tiles === undefined || columns < WIDE) return from;
  const down = Math.ceil(tiles / Math.ceil(columns / tile.columns));
  return Math.max(from, (down - 1) * tile.rows + 1);
}

/** From so many rows on, a subgroup takes some of them together. */
export interface SharingChoice {
  readonly from: number;
  readonly together: number;
}

/** When walks of many rows are sorted on their way (form `sorted`). */
export interface SortingChoice {
  /** The fewest rows. */
  readonly from: number;
  /** The fewest bytes of a tree: of one that a cache holds, rows share what they read in any order. */
  readonly treeBytes: number;
  /** How many nodes to tell apart, at least. */
  readonly nodes: number;
  /** Workgroups that count and sort, and how large they are. */
  readonly stretches: number;
  readonly subgroups: number;
  readonly lanes: number;
}

/** What a lane machine has a choice of. */
export interface LaneChoices {
  /** Bytes of workgroup memory that a kernel may take: tiles and sorted walks that take more are left out. */
  readonly memory: number;
  /** By ascending `from`; the first that fits the width, from each number of rows on, is taken. */
  readonly tiles: readonly TileChoice[];
  /** Null: walks of few rows are taken as those of many. */
  readonly subtrees: SubtreeChoice | null;
  /** Null: walks are never sorted. */
  readonly sorting: SortingChoice | null;
  /** The form of walks taken row by row. */
  readonly walks: Form;
  /** How many rows that read the same, as queries of an attention do, a subgroup takes together; none: one. */
  readonly sharing: readonly SharingChoice[];
}

/** How many different sums a contraction has. */
const sumsOf = (unit: ContractUnit): number =>
  new Set(outermostReductions(unit.statement.value).map((e) => alphaKey(e))).size;

/** The bytes of what a walk reads by its node. */
function treeBytes({ chain: { descent } }: GroupedWalk, layer: LayerIR): number {
  const own = new Set([descent.node, ...descent.lets.map((l) => l.name)]);
  const parts = [...descent.lets.map((l) => l.value), descent.next, ...(descent.yield === null ? [] : [descent.yield])];
  const accesses = parts.flatMap(accessesOf).filter((a) => a.indices.some((i) => mentionsAny(i, own)));
  return [...new Set(accesses.map((a) => a.tensor))].reduce((bytes, name) => {
    const t = layer.tensors.find((x) => x.name === name);
    const elements = t === undefined ? null : Sizes.constantOf(Sizes.product(t.shape));
    return t === undefined || elements === null ? bytes : bytes + elements * storageBytes[t.storage];
  }, 0);
}

/** The form of a unit whose walks are worth sorting, or null. */
function sortedForm(unit: RowsUnit, layer: LayerIR, choice: SortingChoice, memory: number): Form | null {
  for (let first = 1; ; first++) {
    const walk = sortedWalk(unit, first);
    if (walk === null || treeBytes(walk, layer) < choice.treeBytes) return null;
    const { stretches, subgroups, lanes, nodes } = choice;
    const reached = nodesAfter(walk.chain.descent, first)?.count ?? 0;
    if (sortingBytes(reached, subgroups * lanes) > memory) return null;
    if (reached >= nodes) return { form: 'sorted', first, stretches, subgroups, lanes };
  }
}

/** The variants of a unit that walks: few rows by subtrees, many through a large tree sorted, the others row by row. */
function walkVariants(unit: RowsUnit, layer: LayerIR, choices: LaneChoices): readonly Variant[] {
  const { subtrees, sorting, memory } = choices;
  const few = subtrees === null ? null : subtreesForm(unit, subtrees);
  const many = sorting === null ? null : sortedForm(unit, layer, sorting, memory);
  const from = few === null || subtrees === null ? 0 : subtrees.below;
  const plain: Variant = { name: '', from, form: choices.walks };
  const first: readonly Variant[] = few === null ? [] : [{ name: 'few', from: 0, below: from, form: few }];
  if (many === null || sorting === null) return [...first, plain];
  return [...first, { ...plain, below: sorting.from }, { name: 'many', from: sorting.from, form: many }];
}

/**
 * The variants of a unit: walks of few rows are taken by subtrees; a contraction of few rows is a grid of dot products, one of more a grid
 * of tiles, the larger the more rows there are.
 */
export function laneVariants(unit: Unit, layer: LayerIR, choices: LaneChoices): readonly Variant[] {
  const { tiles, sharing, memory } = choices;
  if (unit.kind === 'rows' && walks(unit)) return walkVariants(unit, layer, choices);
  if (unit.kind === 'rows' && sharing.length > 0 && sharesAlongRows(unit))
    return sharing.map(({ from, together }, i): Variant => {
      const below = sharing[i + 1]?.from;
      const form: Form = { form: 'rows', together, accumulators: 1, clamped: true };
      return {
        name: below === undefined ? '' : `to_${below - 1}`,
        from,
        form,
        ...(below === undefined ? {} : { below }),
      };
    });
  if (unit.kind !== 'contract' || !isTileable(unit)) return [{ name: '', from: 0, form: { form: 'elements' } }];
  const columns = columnsOf(unit) ?? 1;
  const sums = sumsOf(unit);
  const fits = (c: TileChoice): boolean =>
    columns >= c.columns && sums <= (c.mostSums ?? sums) && tileBytes(unit, c.tile) <= memory;
  const fitting = tiles.filter(fits);
  const starts = [...new Set(fitting.map((c) => startOf(c, columns)))].sort((a, b) => a - b);
  return [0, ...starts].map((from, i): Variant => {
    const below = starts[i];
    const widest = fitting.filter((c) => startOf(c, columns) === from).sort((a, b) => b.columns - a.columns)[0];
    const form: Form = widest === undefined ? { form: 'elements' } : { form: 'tile', ...widest.tile };
    return {
      name: below === undefined ? '' : `to_${below - 1}`,
      from,
      form,
      ...(below === undefined ? {} : { below }),
    };
  });
}
