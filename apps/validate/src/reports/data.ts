/**
 * The result of a run of the validator, as plain data: what the terminal shows, the HTML report draws and `--json` writes.
 *
 * In JSON, numbers that JSON lacks are the texts "NaN", "Infinity" and "-Infinity".
 */
import type { Matrix } from '../compare/matrix.ts';
import type { Check, Comparison } from '../compare/verdict.ts';
import type { OnnxTiming } from '../references/onnx.ts';
import type { RunKind } from '../references/run.ts';
import type { Unavailable } from '../targets/open.ts';
import type { TargetTiming } from '../targets/session.ts';

/** Raised when a field changes its meaning. */
export const REPORT_VERSION = 1;

export interface Report {
  readonly format: 'espalier-validation';
  readonly version: typeof REPORT_VERSION;
  /** The arguments after the program's name. */
  readonly command: readonly string[];
  /** ISO 8601. */
  readonly started: string;
  readonly seconds: number;
  readonly engine: Engine;
  readonly targets: readonly TargetReport[];
  /** What `all` also stands for and this machine does not have. */
  readonly unavailable: readonly Unavailable[];
  readonly onnxruntime:
    | { readonly available: true; readonly version: string }
    | { readonly available: false; readonly reason: string };
  readonly checkpoints: readonly CheckpointReport[];
  /** The targets against each other, over all cases. */
  readonly matrix: Matrix;
  /** Everything that was compared agrees, and everything that should run ran. */
  readonly agrees: boolean;
  readonly totals: Totals;
}

export interface Engine {
  readonly generator: string;
  readonly node: string;
  readonly v8: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cores: number;
}

export interface TargetReport {
  readonly spec: string;
  /** As the device calls itself. */
  readonly name: string;
  /** As observed. */
  readonly capabilities: Readonly<Record<string, boolean | number | string>>;
}

export interface Totals {
  readonly cases: number;
  /** Comparisons of one tensor or one tree of one run with one reference. */
  readonly checks: number;
  readonly failedChecks: number;
  /** Walks through trees that were compared, and flips within the rounding bound among them. */
  readonly walks: number;
  readonly flipsWithin: number;
  /** Runs that ended in an error. */
  readonly errors: number;
  /** Runs of targets that were left out because the case is too large for them. */
  readonly skipped: number;
}

export interface CheckpointReport {
  readonly name: string;
  readonly source: string;
  readonly description: string;
  readonly cases: readonly CaseReport[];
  /** Null for collections of layers, when no timing was asked for, and where it failed. */
  readonly timing: TimingReport | null;
  /** Why a timing run failed. */
  readonly timingError: string | null;
}

/** Informal: single runs on a machine that does other things. */
export interface TimingReport {
  readonly case: string;
  readonly tokens: number;
  readonly targets: readonly (TargetTiming & { readonly spec: string })[];
  /** ONNX Runtime with as many threads as the targets used. */
  readonly onnxruntime: readonly OnnxTiming[];
}

export interface CaseReport {
  readonly id: string;
  readonly title: string;
  readonly dims: Readonly<Record<string, number>>;
  readonly references: readonly ReferenceReport[];
  /** References first, as they are compared with each other too; then targets. */
  readonly runs: readonly RunReport[];
  readonly trees: readonly TreeReport[];
  /** What the model says about the case's texts, computed by the first target; null without texts. */
  readonly said: Said | null;
  readonly agrees: boolean;
}

export interface ReferenceReport {
  readonly name: string;
  readonly available: boolean;
  /** What it is, or why there is none. */
  readonly note: string;
}

export interface RunReport {
  readonly name: string;
  readonly kind: RunKind;
  readonly comparisons: readonly Comparison[];
  readonly agrees: boolean;
  /** The first that departs, in the order in which the graph computes. */
  readonly first: FirstDifference | null;
  /** Why there are no results. */
  readonly error: string | null;
  /** Why the target was not asked for any; such a run agrees, and is counted. */
  readonly skipped: string | null;
}

export interface FirstDifference {
  readonly reference: string;
  readonly check: Check;
  /** The graph node that computes it. */
  readonly node: string;
  readonly layer: string;
  /** The layer's definition. */
  readonly text: string;
  /** One sentence: what differs by how much. */
  readonly message: string;
  readonly shrunk: Shrunk | null;
}

/** The smallest thing that still differs. */
export interface Shrunk {
  /** The node that differs alone on inputs of the reference, or null when none does. */
  readonly node: string | null;
  /** What was found, for people. */
  readonly message: string;
  /** The repro file, as written; null when none was. */
  readonly file: string | null;
}

/** Where the tokens of a case went in one tree node, by the exact walk. */
export interface TreeReport {
  readonly label: string;
  readonly trees: number;
  readonly levels: number;
  readonly rows: number;
  /** Per tree, how often each node was visited (heap order). */
  readonly visits: readonly (readonly number[])[];
  /** Per row, the least |score| that decided something, and the rounding bound of that decision. */
  readonly margins: readonly number[];
  readonly bounds: readonly number[];
}

export interface SaidLine {
  readonly text: string;
  /** For each mask, or each class, or each other text: a word and its number. */
  readonly answers: readonly (readonly { readonly word: string; readonly value: number }[])[];
}

export interface Said {
  readonly kind: 'masked-lm' | 'classification' | 'sentence-embedding';
  readonly target: string;
  readonly lines: readonly SaidLine[];
}
