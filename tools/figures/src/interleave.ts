/** Interleaved timing: contenders take turns in one process, so that a drifting machine drifts for all of them alike. */

export interface Contender {
  readonly name: string;
  readonly run: () => Promise<void>;
}

export interface Timing {
  readonly name: string;
  /** Milliseconds a run: median, and the 10th and 90th percentile. */
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** Times contenders in turns of about 20 ms for `seconds`, after `warmUp` seconds that are not counted. */
export async function interleave(
  contenders: readonly Contender[],
  seconds: number,
  warmUp: number,
): Promise<readonly Timing[]> {
  const samples = contenders.map((): number[] => []);
  const start = performance.now();
  while (performance.now() - start < (warmUp + seconds) * 1000) {
    for (const [i, contender] of contenders.entries()) {
      const turn = performance.now();
      do {
        const before = performance.now();
        await contender.run();
        const now = performance.now();
        if (now - start > warmUp * 1000) samples[i]?.push(now - before);
      } while (performance.now() - turn < 20);
    }
  }
  return contenders.map(({ name }, i) => {
    const sorted = Float64Array.from(samples[i] ?? []).sort();
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
    return { name, median: at(0.5), low: at(0.1), high: at(0.9) };
  });
}
