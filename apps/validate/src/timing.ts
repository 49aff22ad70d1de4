/** What a run costs on each target and in ONNX Runtime: an informal figure, taken beside everything else the machine does. */
import type { Case, CheckpointCases } from './cases/case.ts';
import type { OnnxSessions, WarmTimer } from './references/onnx.ts';
import type { CheckpointReport, TimingReport } from './reports/data.ts';
import type { TargetSession } from './targets/session.ts';
import type { Progress } from './validate.ts';

/** The median over a fifth of a second, at least 3 runs and at most 100. */
const warmMedian: WarmTimer = async (run) => {
  const times: number[] = [];
  const until = performance.now() + 200;
  while (times.length < 3 || (times.length < 100 && performance.now() < until)) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] as number;
};

/** Timings, or why there are none. */
export type Timed = Pick<CheckpointReport, 'timing' | 'timingError'>;

/** Times the largest case of a model; nothing for collections of layers. Never rejects. */
export async function timeCases(
  checkpoint: CheckpointCases,
  sessions: readonly TargetSession[],
  onnx: OnnxSessions | null,
  progress: Progress,
): Promise<Timed> {
  const tokens = (one: Case): number => (one.dims['B'] ?? 1) * (one.dims['S'] ?? 1);
  const models = checkpoint.cases.filter((one) => one.subject.model !== null);
  const [one] = models.toSorted((a, b) => tokens(b) - tokens(a));
  if (one === undefined) return { timing: null, timingError: null };
  try {
    const targets: TimingReport['targets'][number][] = [];
    for (const session of sessions) {
      progress.stage(`${checkpoint.name} · timing · ${session.target.spec}`);
      targets.push({ spec: session.target.spec, ...(await session.time(one, warmMedian)) });
    }
    const onnxruntime: TimingReport['onnxruntime'][number][] = [];
    for (const threads of onnx === null ? [] : new Set(targets.map((timing) => timing.threads))) {
      progress.stage(`${checkpoint.name} · timing · onnxruntime, ${threads} thread${threads === 1 ? '' : 's'}`);
      onnxruntime.push(await (onnx as OnnxSessions).time(one, threads, warmMedian));
    }
    return { timing: { case: one.id, tokens: tokens(one), targets, onnxruntime }, timingError: null };
  } catch (error) {
    return { timing: null, timingError: error instanceof Error ? error.message : String(error) };
  }
}
