/**
 * Units that are too much for a machine. Statements are fused and forms chosen for speed, which takes more of what a machine has
 * little of: storage buffers, workgroup memory. Where a target refuses a kernel for that, its unit is cut up and compiled again:
 * first every statement by itself, then as plain loops, the least that the statement can take. What is still refused then is
 * more than the machine has for any code.
 */
import type { Statement } from '@espalier/ir';
import type { RowsUnit, Unit } from './partition.ts';

/** An error of a legalise pass: the kernel takes more of something than the machine has. */
export interface Excess extends Error {
  readonly excess: true;
}

export const isExcess = (error: unknown): error is Excess =>
  error instanceof Error && (error as Partial<Excess>).excess === true;

/** How statements are compiled that were too much together, or in the best way. */
export type Eased = ReadonlyMap<Statement, 'alone' | 'generic'>;

export const statementsOf = (unit: Unit): readonly Statement[] =>
  unit.kind === 'rows' ? unit.statements.map((m) => m.statement) : [unit.statement];

/** What to try next, after `unit` was too much; null where nothing is left to try. */
export function ease(unit: Unit, eased: Eased): Eased | null {
  if (unit.kind === 'generic') return null;
  const statements = statementsOf(unit);
  const how = statements.length > 1 ? 'alone' : 'generic';
  return new Map([...eased, ...statements.map((s) => [s, how] as const)]);
}

/** The units with those cut up that were too much, in an order in which they can run. */
export const withEased = (units: readonly Unit[], eased: Eased): readonly Unit[] =>
  units.flatMap((unit) => {
    const statements = statementsOf(unit);
    if (!statements.some((s) => eased.has(s))) return [unit];
    return statements.map((s): Unit => (eased.get(s) === 'generic' ? { kind: 'generic', statement: s } : byRows(s)));
  });

/** Keeps the last axis out of the rows, so that there is something to vectorise. */
function byRows(statement: Statement): RowsUnit {
  const rowAxes = statement.axes.map((_, i) => i);
  return { kind: 'rows', statements: [{ statement, rowAxes: rowAxes.length > 1 ? rowAxes.slice(0, -1) : rowAxes }] };
}
