/**
 * How everything is timed, ours and others' by the same code. `median`, `low` and `high` are of single runs with an event between
 * every two: of a small kernel that is mostly how fast this thread launches. `backToBack` is a run among others: the device is
 * kept busy while many runs are put on the stream, so that they follow each other without waiting for the host.
 */
import type { CudaDevice } from '@espalier/runtime-cuda';
import type { Figures } from '../report.ts';

/** How long something is timed: runs before, runs at most, and the milliseconds that runs may take together. */
export interface Patience {
  readonly warmUp: number;
  readonly runs: number;
  readonly milliseconds: number;
  readonly bursts: number;
  /** Bytes that are set to keep the device busy. */
  readonly spacer: number;
}

export const patient: Patience = { warmUp: 3, runs: 60, milliseconds: 60, bursts: 7, spacer: 512 * 2 ** 20 };
export const impatient: Patience = { warmUp: 1, runs: 2, milliseconds: 0, bursts: 2, spacer: 1024 };

/** Puts work on the stream in steps and tells the milliseconds of each; `run` is one run of what is timed. */
export type TimedSteps = (count: number, step: (i: number, run: () => void) => void) => Promise<readonly number[]>;

/** Milliseconds a run. */
export type Timing = Figures & { readonly median: number; readonly backToBack: number };

const at = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;

const sorted = (values: readonly number[]): Float64Array => Float64Array.from(values).sort();

/** A single run longer than this has nothing to wait for: back to back, it takes the same. */
const LONG_MILLISECONDS = 1;
/** How long a burst shall last, and of how many runs it is at most: the driver's queue has room for some more. */
const BURST_MILLISECONDS = 1;
const MOST_RUNS = 64;
/** Least runs that stand for all. */
const LEAST_RUNS = 5;
/** The host may once take longer to put a burst on the stream than when it was measured. */
const RESERVE = 2;
const MOST_FILLS = 64;

/** Times with memory of its own on the device, made once for all. */
export class Stopwatch implements Disposable {
  readonly #patience: Patience;
  readonly #spacer: ReturnType<CudaDevice['createBuffer']>;
  readonly #device: CudaDevice;
  #fillMilliseconds: number | undefined;

  constructor(device: CudaDevice, patience: Patience) {
    this.#device = device;
    this.#patience = patience;
    this.#spacer = device.createBuffer(patience.spacer, 'spacer');
  }

  /** Median, 10th and 90th percentile of single runs, and the median of runs back to back. */
  async measure(timed: TimedSteps): Promise<Timing> {
    const { warmUp, runs, milliseconds } = this.#patience;
    const slowest = Math.max(...(await timed(warmUp, (_, run) => run())), 1e-3);
    const count = Math.min(runs, Math.max(Math.min(runs, LEAST_RUNS), Math.ceil(milliseconds / slowest)));
    const single = sorted(await timed(count, (_, run) => run()));
    const median = at(single, 0.5);
    const figures = { median, low: at(single, 0.1), high: at(single, 0.9), runs: count };
    if (median > LONG_MILLISECONDS) return { ...figures, backToBack: median };
    return { ...figures, ...(await this.#backToBack(timed, median)) };
  }

  async #backToBack(timed: TimedSteps, median: number): Promise<{ backToBack: number; burst: number }> {
    const burst = Math.min(MOST_RUNS, Math.max(2, Math.ceil(BURST_MILLISECONDS / Math.max(median, 1e-3))));
    const puts = (run: () => void): void => {
      for (let k = 0; k < burst; k++) run();
    };
    let host = 0;
    await timed(1, (_, run) => {
      const start = performance.now();
      puts(run);
      host = performance.now() - start;
    });
    const fills = Math.min(MOST_FILLS, Math.ceil((RESERVE * host) / (await this.#fillTime())));
    // Three steps a burst: the device is kept busy; a run warms what keeping it busy has cooled; the burst.
    const steps = await timed(3 * this.#patience.bursts, (i, run) => {
      if (i % 3 === 0) for (let k = 0; k < fills; k++) this.#spacer.fill(0);
      else if (i % 3 === 1) run();
      else puts(run);
    });
    const each = sorted(steps.filter((_, i) => i % 3 === 2).map((milliseconds) => milliseconds / burst));
    return { backToBack: at(each, 0.5), burst };
  }

  async #fillTime(): Promise<number> {
    this.#fillMilliseconds ??= Math.max(1e-3, Math.min(...(await this.#device.timed(3, () => this.#spacer.fill(0)))));
    return this.#fillMilliseconds;
  }

  [Symbol.dispose](): void {
    this.#spacer[Symbol.dispose]();
  }
}
