/** The file that a certification leaves: plain data, written anew after every stage, so that what was found is never lost. */
import { renameSync, writeFileSync } from 'node:fs';
import type { CudaReport } from '@espalier/runtime-cuda';

/** Raised when a field changes its meaning. */
export const REPORT_VERSION = 2;

/** Figures by name. */
export type Figures = Readonly<Record<string, number | string>>;

/** What a timing is of. */
export interface Subject {
  /** Whose code ran. */
  readonly by: string;
  /** "dense 768-3072": works of one name are compared. */
  readonly work: string;
  /** How products are formed: `f32` exactly, `tf32` and `bf16` from rounded operands. */
  readonly precision: string;
  readonly tokens: number;
}

/** One thing that was tried. */
export interface Check {
  readonly name: string;
  /** Where it is a timing: what of. */
  readonly subject?: Subject;
  /** `skipped`: not tried, for the reason in `detail`. */
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** What went wrong, or why it was left out. */
  readonly detail?: string;
  /** How long all of it took by the clock, setting up included. */
  readonly seconds?: number;
  /**
   * Figures, where there are any: milliseconds by device events unless their name says otherwise, and counts. Of a graph, `part.X` is
   * what its nodes X take together in a run with an event after every launch.
   */
  readonly figures?: Figures;
}

/** Two timings compared, or one held against an aim. */
export interface Ratio {
  /** What was compared: "block 768-3072-768: ours to cuBLASLt's speed". */
  readonly name: string;
  readonly precision?: string;
  readonly tokens: number;
  /** Microseconds a run: of what the ratio is about, and of what it is compared with. */
  readonly microseconds: number;
  readonly comparedWith?: number;
  /** Who was compared with, where that was chosen among several. */
  readonly chosen?: string;
  /** How many times as fast; absent where microseconds alone are meant. */
  readonly times?: number;
  /** Least `times`, or most `microseconds` where there are no `times`. */
  readonly aim?: number;
  readonly met?: boolean;
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
    /** Version of the kernel's NVIDIA driver: "580.95.05". `cuda.driver.version` is the CUDA version that it supports. */
    readonly nvidiaDriver?: string;
  };
  /** Whether there is a device to certify. */
  readonly available: boolean;
  /** Why not. */
  readonly reason?: string;
  readonly cuda: CudaReport;
  /** Everything that was tried passed. False until the last stage has ended, and where there is no device. */
  readonly certified: boolean;
  readonly stages: readonly StageReport[];
  /** What the timings come to. */
  readonly ratios: readonly Ratio[];
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
