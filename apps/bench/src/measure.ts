/**
 * Timing in turns: on a machine that drifts, contenders that take turns in one process drift alike, so their ratios hold where
 * their times do not. Nobody is timed whose output was not right, or before its times have settled.
 */
import type { Contender, Work } from './contract.ts';

export interface Entrant {
  readonly name: string;
  readonly contender: Contender;
  /** What it does: entrants of one round may do different work, a tree beside the dense layer it stands for. */
  readonly work: Work;
}

/** Quantiles of a sample. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export interface Measured {
  readonly name: string;
  /** Milliseconds a run: median over turns, 10th and 90th percentile. */
  readonly time: Spread;
  /** Largest difference from what is known. */
  readonly error: number;
  readonly turns: number;
}

export interface Rejected {
  readonly name: string;
  readonly why: string;
}

export interface Round {
  readonly measured: readonly Measured[];
  readonly rejected: readonly Rejected[];
  /** time of `a` / time of `b`, turn by turn. */
  ratio(a: string, b: string): Spread | null;
}

export interface Pace {
  /** Seconds of turns, all contenders together. */
  readonly seconds: number;
  /** Shortest turn in milliseconds. */
  readonly turn: number;
  /** Seconds at most that one contender may take to settle. */
  readonly warmUp: number;
  /**
   * Milliseconds of rest before each turn; none if absent. Where contenders have threads, those of the last one go on spinning for
   * some time after its turn (OpenBLAS: some 25 ms) and would hold a core that the next one needs.
   */
  readonly rest?: number;
  readonly stop?: AbortSignal;
}

/** Quantile by linear interpolation. NaN for nothing. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number];
  return below + (above - below) * (at - Math.floor(at));
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  return { median: quantile(sorted, 0.5), low: quantile(sorted, 0.1), high: quantile(sorted, 0.9) };
}

/** Milliseconds a run during one turn of at least `least` milliseconds. */
async function turn({ contender: { run }, work: { next } }: Entrant, least: number): Promise<number> {
  const start = performance.now();
  let runs = 0;
  let elapsed: number;
  do {
    next?.();
    // Synchronous contenders are not made to wait for a promise.
    const pending = run();
    if (pending !== undefined) await pending;
    runs++;
    elapsed = performance.now() - start;
  } while (elapsed < least);
  return elapsed / runs;
}

/** Lets the event loop turn once: synchronous contenders would hold it for the whole of a group, and Ctrl-C with it. */
export const breathing = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const resting = async (milliseconds: number): Promise<void> => {
  if (milliseconds > 0) await new Promise((resolve) => setTimeout(resolve, milliseconds));
};

/** Runs until three turns agree within 3 % with the three before them: past the engine's tier-up. */
async function settle(entrant: Entrant, { turn: least, warmUp, rest = 0, stop }: Pace): Promise<void> {
  await resting(rest);
  const start = performance.now();
  const times: number[] = [];
  while (performance.now() - start < warmUp * 1000 && stop?.aborted !== true) {
    await breathing();
    times.push(await turn(entrant, least));
    const [now, before] = [spreadOf(times.slice(-3)).median, spreadOf(times.slice(-6, -3)).median];
    if (times.length >= 8 && Math.abs(now / before - 1) < 0.03) return;
  }
}

/** The largest difference of a result from what is known; Infinity for one of another length. */
export function errorOf(work: Work, output: Float32Array, reference: Float32Array | null): number {
  let worst = 0;
  const see = (a: number, b: number): void => {
    const apart = Math.abs(a - b);
    worst = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : Math.max(worst, apart);
  };
  const width = output.length / work.tokens;
  for (const { row, values } of work.expected) {
    if (values.length !== width) return Number.POSITIVE_INFINITY;
    for (let o = 0; o < width; o++) see(output[row * width + o] as number, values[o] as number);
  }
  if (reference !== null) {
    if (reference.length !== output.length) return Number.POSITIVE_INFINITY;
    for (let i = 0; i < output.length; i++) see(output[i] as number, reference[i] as number);
  }
  return worst;
}

/**
 * Checks, warms up and times; the order of turns changes from round to round. Where nothing is known of a piece of work, its entrants
 * are compared with the first of them, which is then not proven right, only the same as others.
 */
export async function measure(entrants: readonly Entrant[], pace: Pace): Promise<Round> {
  const rejected: Rejected[] = [];
  const errors = new Map<string, number>();
  const right: Entrant[] = [];
  const first = new Map<Work, Float32Array>();
  for (const entrant of entrants) {
    const { work, contender } = entrant;
    await contender.run();
    const output = await contender.output();
    const reference = work.expected.length > 0 ? null : (first.get(work) ?? null);
    if (reference === null) first.set(work, output.slice());
    const error = errorOf(work, output, reference);
    if (error <= work.allowed) right.push(entrant);
    else rejected.push({ name: entrant.name, why: `wrong output: ${error} apart, ${work.allowed} allowed; not timed` });
    errors.set(entrant.name, error);
  }
  for (const entrant of right) await settle(entrant, pace);
  const samples = new Map(right.map(({ name }) => [name, [] as number[]]));
  const start = performance.now();
  for (let round = 0; round < 3 || performance.now() - start < pace.seconds * 1000; round++) {
    if (pace.stop?.aborted === true) break;
    for (let i = 0; i < right.length; i++) {
      const entrant = right[(i + round) % right.length] as Entrant;
      await resting(pace.rest ?? 0);
      await breathing();
      samples.get(entrant.name)?.push(await turn(entrant, pace.turn));
    }
  }
  return {
    measured: right.map(({ name }) => {
      const turns = samples.get(name) ?? [];
      return { name, time: spreadOf(turns), error: errors.get(name) ?? Number.NaN, turns: turns.length };
    }),
    rejected,
    ratio: (a, b) => {
      const [x, y] = [samples.get(a), samples.get(b)];
      if (x === undefined || y === undefined) return null;
      return spreadOf(x.slice(0, y.length).map((time, i) => time / (y[i] as number)));
    },
  };
}
