/** What a stage is: it tries things, one check after another, in a process of its own. */
import type { CudaOptions } from '@espalier/runtime-cuda';
import type { Check, Figures, Subject } from '../report.ts';

/** What a stage works with. */
export interface StageContext {
  /** The bundle's folder: `models`, `golden` and `kernels` lie in it. */
  readonly root: string;
  readonly device: CudaOptions;
  /** Makes the stage short, for tests of the tool itself. */
  readonly quick: boolean;
  /** Takes a check as soon as it is known, so that what follows cannot lose it. */
  readonly report: (check: Check) => void;
  /** For people who wait. */
  readonly say: (text: string) => void;
}

/** One part of a certification. Rejects only where nothing more can be tried. */
export type Stage = (context: StageContext) => Promise<void>;

/** Tries something, a timing where it has a `subject`: passed with its figures, or `otherwise` with its error. */
export async function attempt(
  context: StageContext,
  name: string,
  body: () => Promise<Figures | undefined>,
  subject?: Subject,
  otherwise: 'failed' | 'skipped' = 'failed',
): Promise<boolean> {
  context.say(name);
  const start = performance.now();
  const about = () => ({ name, ...(subject ? { subject } : {}), seconds: (performance.now() - start) / 1000 });
  try {
    const figures = await body();
    context.report({ ...about(), outcome: 'passed', ...(figures ? { figures } : {}) });
    return true;
  } catch (error) {
    context.report({ ...about(), outcome: otherwise, detail: error instanceof Error ? error.message : String(error) });
    return false;
  }
}
