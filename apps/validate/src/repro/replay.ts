/** Running a repro again: compile the layer, run it on its target, and say whether it still departs. */
import type { OpenTarget } from '../targets/family.ts';
import { TargetSession } from '../targets/session.ts';
import type { Repro } from './file.ts';
import { type Departure, departureOf, expectationOf } from './one-node.ts';

export interface Replay {
  readonly target: string;
  /** Null when the target agrees now. */
  readonly departure: Departure | null;
  /** The run itself failed. */
  readonly error: string | null;
  /** The interpreter gives other numbers than the file recorded: the meaning of the layer has changed since. */
  readonly meaningChanged: boolean;
}

/** Replays on one target. Never rejects for what the target does: that is a result. */
export async function replay(repro: Repro, target: OpenTarget): Promise<Replay> {
  const now = expectationOf(repro);
  const meaningChanged = Object.entries(repro.expected).some(([name, { values }]) => {
    const again = now[name]?.values;
    return again === undefined || again.length !== values.length || values.some((x, i) => !Object.is(x, again[i]));
  });
  using session = new TargetSession(target, new Map());
  const run = session.runGraph.bind(session);
  try {
    const departure = await departureOf(repro, repro.node, run, repro.expected);
    return { target: target.spec, departure, error: null, meaningChanged };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { target: target.spec, departure: null, error: text, meaningChanged };
  }
}
