/** The file that a certification leaves: plain data, written anew after every stage, so that what was found is never lost. */
import { renameSync, writeFileSync } from 'node:fs';
import type { CudaReport } from '@espalier/runtime-cuda';

/** Raised when a field changes its meaning. */
export const REPORT_VERSION = 1;

/** One thing that was tried. */
export interface Check {
  readonly name: string;
  /** `skipped`: not tried, for the reason in `detail`. */
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** What went wrong, or why it was left out. */
  readonly detail?: string;
  /** Figures, where there are any: milliseconds (medians of device events unless their name says otherwise), counts. */
  readonly figures?: Readonly<Record<string, number | string>>;
}

export interface StageReport {
  readonly name: string;
  /** `failed` also where the stage did not reach its end; `error` then says how it ended. */
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly error?: string;
  readonly seconds: number;
  readonly checks: readonly Check[];
}

export interface CertificationReport {
  readonly format: 'espalier-certification';
  readonly version: typeof REPORT_VERSION;
  /** ISO 8601. */
  readonly date: string;
  readonly command: readonly string[];
  readonly generator: string;
  readonly machine: {
    readonly node: string;
    readonly platform: string;
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
  };
  /** Whether there is a device to certify. */
  readonly available: boolean;
  /** Why not. */
  readonly reason?: string;
  readonly cuda: CudaReport;
  /** Everything that was tried passed. False until the last stage has ended, and where there is no device. */
  readonly certified: boolean;
  readonly stages: readonly StageReport[];
}

/** Writes the report in one step: whoever reads meanwhile sees the last one whole. */
export function writeReport(path: string, report: CertificationReport): void {
  const part = `${path}.part`;
  writeFileSync(part, `${JSON.stringify(report, finite, 1)}\n`);
  renameSync(part, path);
}

/** Numbers that JSON lacks are written as texts. */
const finite = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
