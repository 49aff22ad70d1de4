/**
 * Cuts a layer into units, one kernel each, by the shape of its statements and never by its name.
 *
 * A dense product with weights (`contract`) stands alone, since its weights want to be reused over many rows. Other
 * statements are fused with those whose results they use row by row (`rows`): softmax, norms, gathered networks, walks.
 * A row is one setting of the unit's row axes; between the statements of a unit, results stay in private memory.
 */
import { childrenOf, type Expr, type LayerIR, Sizes, type Statement } from '@espalier/ir';
import { uncheckedDivisions } from './divisors.ts';
import { accessesOf, mentionsAny, readsOf, visit, writesOf } from './layer-expr.ts';

/** A statement of a `rows` unit: which of its axes are the unit's row axes, in the unit's order. */
export interface RowStatement {
  readonly statement: Statement;
  readonly rowAxes: readonly number[];
}

export type Unit =
  | { readonly kind: 'contract'; readonly statement: Statement; readonly contraction: Contraction }
  | { readonly kind: 'rows'; readonly statements: readonly RowStatement[] }
  | { readonly kind: 'generic'; readonly statement: Statement };

export type ContractUnit = Extract<Unit, { kind: 'contract' }>;
export type RowsUnit = Extract<Unit, { kind: 'rows' }>;

/** A dense product found in a statement: which axis the weights' columns run over, and the weights packed by it. */
export interface Contraction {
  readonly columnAxis: number;
  /** Weights read as product operands, and the axis of each that the columns index. */
  readonly weights: readonly { readonly tensor: string; readonly axis: number }[];
}

type Reduce = Extract<Expr, { kind: 'reduce' }>;

/** The factors of a product. */
function factorsOf(e: Expr): readonly Expr[] {
  return e.kind === 'op' && e.op === 'mul' ? e.args.flatMap(factorsOf) : [e];
}

/** The outermost reductions and descents of an expression. */
export function outermostReductions(e: Expr): readonly Expr[] {
  if (e.kind === 'reduce' || e.kind === 'descend') return [e];
  if (e.kind === 'op') return e.args.flatMap(outermostReductions);
  if (e.kind === 'select') return [e.condition, e.then, e.otherwise].flatMap(outermostReductions);
  return [];
}

const isIndex = (e: Expr | undefined, name: string): boolean => e?.kind === 'index' && e.name === name;

/** The weight factor of a sum over weights, with the axis that `column` indexes; null when the sum isn't a dense product. */
function weightOperand(
  sum: Reduce,
  column: string,
  rows: ReadonlySet<string>,
  layer: LayerIR,
): { tensor: string; axis: number } | null {
  const weights: { tensor: string; axis: number }[] = [];
  for (const factor of factorsOf(sum.body)) {
    const usesColumn = accessesOf(factor).some((a) => a.indices.some((i) => mentionsIndex(i, column)));
    if (!usesColumn && !mentionsIndex(factor, column)) continue;
    if (factor.kind !== 'access' || layer.tensors.find((t) => t.name === factor.tensor)?.role !== 'weight') return null;
    const plain = factor.indices.every((i) => i.kind === 'index' && !rows.has(i.name));
    const axis = factor.indices.findIndex((i) => isIndex(i, column));
    if (!plain || factor.indices.filter((i) => isIndex(i, column)).length !== 1) return null;
    weights.push({ tensor: factor.tensor, axis });
  }
  return weights.length === 1 ? (weights[0] ?? null) : null;
}

function mentionsIndex(e: Expr, name: string): boolean {
  let found = false;
  visit(e, (x) => {
    if (isIndex(x, name)) found = true;
  });
  return found;
}

/** Recognises y[rows…, o] = f(Σ x[rows…, i] · w[o, i], …). */
export function matchContraction(s: Statement, layer: LayerIR): Contraction | null {
  if (s.axes.length < 2) return null;
  const sums = outermostReductions(s.value);
  if (sums.length === 0) return null;
  const columnAxis = s.axes.length - 1;
  const column = s.axes[columnAxis]?.name ?? '';
  const rows = new Set(s.axes.slice(0, -1).map((a) => a.name));
  const weights: { tensor: string; axis: number }[] = [];
  for (const sum of sums) {
    if (sum.kind !== 'reduce' || sum.op !== 'sum') return null;
    let nested = false;
    visit(sum.body, (e) => {
      nested ||=
        e.kind === 'reduce' ||
        e.kind === 'descend' ||
        e.kind === 'select' ||
        uncheckedDivisions(layer).has(e) ||
        (e.kind === 'access' && e.inBounds.includes(false));
    });
    if (nested) return null;
    const operand = weightOperand(sum, column, rows, layer);
    if (operand === null) return null;
    weights.push(operand);
  }
  return { columnAxis, weights };
}

/** Row axes of a unit under construction, per statement. */
interface Draft {
  readonly members: { statement: Statement; rowAxes: number[] }[];
}

/** How a consumer's axes line up with the rows of the draft it reads from; rows that don't line up are given up. Null when nothing lines up. */
function lineUp(consumer: Statement, draft: Draft): { rowAxes: number[]; keep: number[] } | null {
  const count = draft.members[0]?.rowAxes.length ?? 0;
  const axisOfRow: (number | null | undefined)[] = new Array(count).fill(undefined);
  for (const access of accessesOf(consumer.value)) {
    const member = draft.members.find((m) => m.statement.target === access.tensor);
    if (member === undefined) continue;
    member.rowAxes.forEach((axis, row) => {
      const index = access.indices[axis];
      const at = index?.kind === 'index' ? consumer.axes.findIndex((a) => a.name === index.name) : -1;
      const known = axisOfRow[row];
      const sameSize = at >= 0 && Sizes.equal(consumer.axes[at]?.size ?? [], member.statement.axes[axis]?.size ?? []);
      axisOfRow[row] = !sameSize || (known !== undefined && known !== at) ? null : at;
    });
  }
  const keep: number[] = [];
  const rowAxes: number[] = [];
  axisOfRow.forEach((axis, row) => {
    if (axis === null || axis === undefined || rowAxes.includes(axis)) return;
    keep.push(row);
    rowAxes.push(axis);
  });
  return keep.length === 0 ? null : { rowAxes, keep };
}

/** A unit of one statement keeps its last axis out of the rows, so that there is something to vectorise. */
function finished(draft: Draft): Unit {
  const [only] = draft.members;
  if (draft.members.length === 1 && only !== undefined && only.rowAxes.length > 1) {
    return { kind: 'rows', statements: [{ statement: only.statement, rowAxes: only.rowAxes.slice(0, -1) }] };
  }
  return { kind: 'rows', statements: draft.members };
}

/** Units in an order in which they can run. */
export function partition(layer: LayerIR): readonly Unit[] {
  const units: (Unit | Draft)[] = [];
  const home = new Map<string, number>();
  for (const statement of layer.statements) {
    const contraction = matchContraction(statement, layer);
    const sources = [...readsOf(statement)].map((t) => home.get(t)).filter((u) => u !== undefined);
    const latest = Math.max(-1, ...sources);
    const last = units[latest];
    let place = units.length;
    if (contraction !== null) {
      units.push({ kind: 'contract', statement, contraction });
    } else if (last !== undefined && 'members' in last && join(statement, last)) {
      place = latest;
    } else {
      units.push({ members: [{ statement, rowAxes: statement.axes.map((_, i) => i) }] });
    }
    for (const name of writesOf(statement)) home.set(name, place);
  }
  return units.map((u) => ('members' in u ? finished(u) : u));
}

function join(statement: Statement, draft: Draft): boolean {
  const lined = lineUp(statement, draft);
  if (lined === null) return false;
  for (const member of draft.members)
    member.rowAxes.splice(0, member.rowAxes.length, ...lined.keep.map((row) => member.rowAxes[row] as number));
  draft.members.push({ statement, rowAxes: lined.rowAxes });
  return true;
}

/** Every statement a unit of its own, lowered as the plainest loop nest: the floor under all strategies. */
export const partitionGenerically = (layer: LayerIR): readonly Unit[] =>
  layer.statements.map((statement) => ({ kind: 'generic', statement }));

/** How many columns a contraction has; null when only the run knows. */
export const columnsOf = (unit: ContractUnit): number | null =>
  Sizes.constantOf(unit.statement.axes[unit.contraction.columnAxis]?.size ?? Sizes.constant(0));

/**
 * Whether neighbouring rows of a unit read the same: some sum of it goes over a tensor in a way that the last row axis has no
 * part in, as every query of an attention goes over the same keys.
 */
export function sharesAlongRows(unit: RowsUnit): boolean {
  return unit.statements.some(({ statement, rowAxes }) => {
    const last = statement.axes[rowAxes.at(-1) ?? -1]?.name;
    if (last === undefined || rowAxes.length === statement.axes.length) return false;
    if (hasWalk(statement.value)) return false;
    return sumsOf(statement.value).some(({ indices, body }) => {
      const summed = new Set(indices.map((i) => i.name));
      const apart = accessesOf(body).map((a) => a.indices.some((i) => mentionsIndex(i, last)));
      const isOver = accessesOf(body).some((a, i) => !apart[i] && a.indices.some((x) => mentionsAny(x, summed)));
      return isOver && apart.includes(true);
    });
  });
}

/** Whether a unit walks a tree. */
export function walks(unit: RowsUnit): boolean {
  return unit.statements.some(({ statement }) => hasWalk(statement.value));
}

export function hasWalk(e: Expr): boolean {
  return e.kind === 'descend' || childrenOf(e).some(hasWalk);
}

/** The sums of an expression that walk nothing. */
function sumsOf(e: Expr): readonly Reduce[] {
  const inner = childrenOf(e).flatMap(sumsOf);
  return e.kind === 'reduce' && e.op === 'sum' && !hasWalk(e) ? [e, ...inner] : inner;
}
