/** What a run costs on each target and in ONNX Runtime: an informal figure, taken beside everything else the machine does. */
import type { Case, CheckpointCases } from './cases/case.ts';
import type { OnnxSessions, WarmTimer } from './references/onnx.ts';
import type { TimingReport } from './reports/data.ts';
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

/** Times the largest case of a model; null for collections of layers, and where a run failed. */
export async function timeCases(
  checkpoint: CheckpointCases,
  sessions: readonly TargetSession[],
  onnx: OnnxSessions | null,
  progress: Progress,
): Promise<TimingReport | null> {
  const tokens = (one: Case): number => (one.dims['B'] ?? 1) * (one.dims['S'] ?? 1);
  const models = checkpoint.cases.filter((one) => one.subject.model !== null);
  const [one] = models.toSorted((a, b) => tokens(b) - tokens(a));
  if (one === undefined) return null;
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
    return { case: one.id, tokens: tokens(one), targets, onnxruntime };
  } catch {
    // A run that fails here has failed as a case too, and is reported there.
    return null;
  }
}
