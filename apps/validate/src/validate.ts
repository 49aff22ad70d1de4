/**
 * The validator: every case on every target and every reference, compared in order, timed, and the first difference shrunk.
 * No text is printed here; progress goes to the caller, results come back as data.
 */
import { cpus } from 'node:os';
import { GENERATOR } from '@espalier/codegen';
import type { Case, CheckpointCases } from './cases/case.ts';
import { findCases } from './cases/find.ts';
import { checkGolden } from './cases/model-cases.ts';
import { workOf } from './cases/work.ts';
import { MatrixBuilder } from './compare/matrix.ts';
import { marginsOf, visitsOf } from './compare/routes.ts';
import { allRecorded, type Strictness, type Tolerance, toleranceOf } from './compare/tolerance.ts';
import { type Comparison, compareRuns, measuredLosses, treeShape } from './compare/verdict.ts';
import { outputFiles } from './outputs.ts';
import { goldenRuns } from './references/golden.ts';
import { interpret } from './references/interpreter.ts';
import { loadOnnx, type OnnxEngine, type OnnxSessions, onnxSessions } from './references/onnx.ts';
import type { ExactRun, Run } from './references/run.ts';
import { whatItSays } from './references/said.ts';
import {
  type CaseReport,
  type CheckpointReport,
  REPORT_VERSION,
  type ReferenceReport,
  type Report,
  type RunReport,
  type Said,
  type Totals,
  type TreeReport,
} from './reports/data.ts';
import { counted, scientific } from './reports/format.ts';
import { firstOf, shrunkOf } from './repro/first.ts';
import { families as allFamilies } from './targets/families.ts';
import type { OpenTarget, TargetFamily } from './targets/family.ts';
import { openTargets } from './targets/open.ts';
import { type CompileCache, TargetSession } from './targets/session.ts';
import { type Timed, timeCases } from './timing.ts';

/** What is going on, for whoever shows it. */
export interface Progress {
  /** A new stage; `fraction` (0 to 1) within a longer one. */
  stage(text: string, fraction?: number): void;
}

export interface ValidateOptions {
  readonly checkpoints?: readonly string[];
  readonly golden?: readonly string[];
  readonly texts?: readonly string[];
  readonly targets?: readonly string[];
  /** Folder for safetensors of what targets computed. */
  readonly outputs?: string;
  /** Folder for repro files; none are written without. */
  readonly repros?: string;
  /** Recorded in the report. */
  readonly command?: readonly string[];
  readonly progress?: Progress;
  /** Kinds of targets; all there are unless told. */
  readonly families?: readonly TargetFamily[];
  /** `false`: no timing runs. */
  readonly timing?: boolean;
  /** How ONNX Runtime is loaded; `loadOnnx` unless told. */
  readonly onnx?: () => Promise<OnnxEngine>;
}

const silent: Progress = { stage: () => undefined };

/** Runs everything. Throws UsageError, CheckpointError for what cannot start; what goes wrong later is in the report. */
export async function validate(options: ValidateOptions = {}): Promise<Report> {
  const start = performance.now();
  const started = new Date().toISOString();
  const progress = options.progress ?? silent;
  const { targets, unavailable } = await openTargets(options.targets ?? [], options.families ?? allFamilies);
  try {
    const checkpoints = await findCases({
      checkpoints: options.checkpoints ?? [],
      golden: options.golden ?? [],
      texts: options.texts ?? [],
      onOpen: (source) => progress.stage(`opening ${source}`),
    });
    const engine = await (options.onnx ?? loadOnnx)();
    const outputs = options.outputs === undefined ? null : outputFiles(options.outputs);
    const reports: CheckpointReport[] = [];
    const matrix = new MatrixBuilder(targets.map((target) => target.spec));
    for (const checkpoint of checkpoints)
      reports.push(await validateCheckpoint({ checkpoint, targets, engine, options, progress, outputs, matrix }));
    if (outputs !== null) await outputs.write();
    const totals = totalsOf(reports);
    return {
      format: 'espalier-validation',
      version: REPORT_VERSION,
      command: options.command ?? [],
      started,
      seconds: (performance.now() - start) / 1000,
      engine: {
        generator: GENERATOR,
        node: process.versions.node,
        v8: process.versions.v8,
        platform: `${process.platform} ${process.arch}`,
        cpu: cpus()[0]?.model ?? 'unknown',
        cores: cpus().length,
      },
      targets: targets.map(({ spec, device }) => ({
        spec,
        name: device.info.name,
        capabilities: device.info.capabilities,
      })),
      unavailable,
      onnxruntime: engine.available ? { available: true, version: engine.version } : engine,
      checkpoints: reports,
      matrix: matrix.matrix,
      agrees: reports.every((report) => report.cases.every((one) => one.agrees)),
      totals,
    };
  } finally {
    for (const target of targets) target[Symbol.dispose]();
  }
}

interface Context {
  readonly checkpoint: CheckpointCases;
  readonly targets: readonly OpenTarget[];
  readonly engine: OnnxEngine;
  readonly options: ValidateOptions;
  readonly progress: Progress;
  readonly outputs: ReturnType<typeof outputFiles> | null;
  readonly matrix: MatrixBuilder;
}

interface Workers {
  readonly sessions: readonly TargetSession[];
  readonly onnx: OnnxSessions | null;
}

async function validateCheckpoint(context: Context): Promise<CheckpointReport> {
  const { checkpoint, targets, engine } = context;
  const cache: CompileCache = new Map();
  const sessions = targets.map((target) => new TargetSession(target, cache));
  const onnx = engine.available ? onnxSessions(engine.ort) : null;
  try {
    const cases: CaseReport[] = [];
    for (const one of checkpoint.cases) cases.push(await validateCase(context, one, { sessions, onnx }));
    const timed: Timed =
      context.options.timing === false
        ? { timing: null, timingError: null }
        : await timeCases(
            checkpoint,
            sessions.filter((session) => session.target.timed !== false),
            onnx,
            context.progress,
          );
    const { name, source, description } = checkpoint;
    return { name, source, description, cases, ...timed };
  } finally {
    for (const session of sessions) session[Symbol.dispose]();
    await onnx?.[Symbol.asyncDispose]();
  }
}

/** A run, or why there is none. */
type Attempt = { readonly name: string; readonly kind: Run['kind'] } & (
  | { readonly run: Run; readonly error: null; readonly skipped: null }
  | { readonly run: null; readonly error: string; readonly skipped: null }
  | { readonly run: null; readonly error: null; readonly skipped: string }
);

async function attempt(name: string, kind: Run['kind'], work: () => Promise<Run>): Promise<Attempt> {
  try {
    return { name, kind, run: await work(), error: null, skipped: null };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { name, kind, run: null, error: text, skipped: null };
  }
}

/** Why a case is not for a target; null when it is. */
function tooLarge({ spec, most }: OpenTarget, work: () => number): string | null {
  if (most === undefined || work() <= most) return null;
  return `too large for ${spec}: ${scientific(work())} operations (limit ${scientific(most)})`;
}

async function validateCase(context: Context, one: Case, { sessions, onnx }: Workers): Promise<CaseReport> {
  const { checkpoint, progress, options, outputs } = context;
  const label = `${checkpoint.name} · ${one.id}`;
  const stage = (text: string, fraction?: number): void => progress.stage(`${label} · ${text}`, fraction);

  stage('interpreting in float64', 0);
  const exact = interpret(one, 'f64', (id, i, n) => stage(`interpreting in float64: ${id}`, i / n));
  checkGolden(
    one,
    (item) => exact.value(item)?.length ?? 0,
    (tree) => exact.exact(tree).nodes.length,
  );
  const tolerance = measuredTolerance(one, exact, stage);
  let known: number | undefined;
  const work = (): number => {
    known ??= workOf(one);
    return known;
  };
  const golden = goldenRuns(one);

  const peer =
    onnx === null
      ? null
      : await attempt('onnxruntime', 'onnxruntime', () => {
          stage('onnxruntime');
          return onnx.run(one);
        });
  const attempts: Attempt[] = [];
  for (const session of sessions) {
    const { target } = session;
    const skipped = tooLarge(target, work);
    if (skipped !== null) {
      attempts.push({ name: target.spec, kind: 'target', run: null, error: null, skipped });
      continue;
    }
    stage(target.spec);
    attempts.push(await attempt(target.spec, 'target', () => session.run(one)));
  }
  const ran = attempts.flatMap((made) => made.run ?? []);
  context.matrix.add(checkpoint.name, one, ran, exact);

  const exactReferences: readonly Run[] = [...golden, exact];
  const peers = peer?.run ? [peer.run] : [];
  const compareWith = (run: Run, references: readonly Run[], strictness?: Strictness): readonly Comparison[] =>
    references
      .map((reference) => compareRuns(one, run, reference, exact, tolerance(strictness)))
      .filter((comparison) => comparison.checks.length > 0);

  const runs: RunReport[] = [];
  if (golden.length > 0) runs.push(runReport(one, exact, compareWith(exact, golden)));
  if (peer !== null)
    runs.push(
      peer.run === null ? withoutResults(peer) : runReport(one, peer.run, compareWith(peer.run, exactReferences)),
    );
  for (const [i, made] of attempts.entries()) {
    if (made.run === null) {
      runs.push(withoutResults(made));
      continue;
    }
    outputs?.add(checkpoint.name, one, made.run);
    const session = sessions[i] as TargetSession;
    const comparisons = compareWith(made.run, [...exactReferences, ...peers], session.target.strictness);
    const report = runReport(one, made.run, comparisons);
    if (report.first === null) runs.push(report);
    else {
      stage(`${made.name} departs at ${report.first.check.name}: shrinking`);
      const shrunk = await shrunkOf(one, report.first, exact, session, checkpoint.name, options.repros);
      runs.push({ ...report, first: { ...report.first, shrunk } });
    }
  }
  return {
    id: one.id,
    title: one.title,
    dims: one.dims,
    references: referencesOf(one, context.engine, peer),
    runs,
    trees: treesOf(one, exact),
    said: saidOf(one, attempts),
    agrees: runs.every((run) => run.agrees),
  };
}

/** Tolerances of the case by strictness; what float32 costs is measured once, and only where it was not recorded. */
function measuredTolerance(
  one: Case,
  exact: ExactRun,
  stage: (text: string, fraction?: number) => void,
): (strictness?: Strictness) => Tolerance {
  if (allRecorded(one)) return (strictness) => toleranceOf(one, () => 0, strictness);
  let losses: ((item: Case['items'][number]) => number) | undefined;
  const measure = (item: Case['items'][number]): number => {
    losses ??= measuredLosses(
      one,
      interpret(one, 'f32', (id, i, n) => stage(`measuring what float32 costs: ${id}`, i / n)),
      exact,
    );
    return losses(item);
  };
  return (strictness) => toleranceOf(one, measure, strictness);
}

function runReport(one: Case, run: Run, comparisons: readonly Comparison[]): RunReport {
  const first = firstOf(one, comparisons);
  return { name: run.name, kind: run.kind, comparisons, agrees: first === null, first, error: null, skipped: null };
}

const withoutResults = ({ name, kind, error, skipped }: Attempt): RunReport => ({
  name,
  kind,
  comparisons: [],
  agrees: error === null,
  first: null,
  error,
  skipped,
});

function referencesOf(one: Case, engine: OnnxEngine, peer: Attempt | null): readonly ReferenceReport[] {
  const { golden } = one;
  const left = golden?.uncompared ?? [];
  const unused = left.length === 0 ? '' : `; not compared: ${left.join(', ')}`;
  const original: ReferenceReport =
    golden === null
      ? { name: 'golden', available: false, note: 'none recorded for these inputs' }
      : {
          name: 'golden',
          available: true,
          note: `the original program's float32 run (${counted(golden.single.size + golden.routes.size, 'tensor')}${unused})`,
        };
  const double: readonly ReferenceReport[] =
    golden === null || golden.double.size === 0
      ? []
      : [{ name: 'golden f64', available: true, note: `its float64 run (${golden.double.size} tensors)` }];
  const exact: ReferenceReport = { name: 'interpreter', available: true, note: 'float64, with routes and bounds' };
  const onnx: ReferenceReport = engine.available
    ? {
        name: 'onnxruntime',
        available: peer?.run != null,
        note: peer?.run != null ? `${engine.version}, float32` : (peer?.error ?? 'not run'),
      }
    : { name: 'onnxruntime', available: false, note: engine.reason };
  return [original, ...double, exact, onnx];
}

function treesOf(one: Case, exact: ExactRun): readonly TreeReport[] {
  return one.subject.watched.trees.map((tree) => {
    const shape = treeShape(tree, one.dims);
    const route = exact.exact(tree);
    const { margins, bounds } = marginsOf(shape, route);
    return {
      label: tree.label,
      trees: shape.trees,
      levels: shape.levels,
      rows: shape.rows,
      visits: visitsOf(shape, route.nodes),
      margins: [...margins],
      bounds: [...bounds],
    };
  });
}

function saidOf(one: Case, attempts: readonly Attempt[]): Said | null {
  const run = attempts.find((made) => made.run !== null)?.run;
  if (run == null) return null;
  try {
    return whatItSays(one, run);
  } catch {
    // Outputs that cannot be read (NaN) are differences already, and reported as such.
    return null;
  }
}

function totalsOf(reports: readonly CheckpointReport[]): Totals {
  const cases = reports.flatMap((report) => report.cases);
  const runs = cases.flatMap((one) => one.runs);
  const checks = runs.flatMap((run) => run.comparisons.flatMap((comparison) => comparison.checks));
  const routes = checks.filter((check) => check.kind === 'route');
  const within = routes.flatMap((check) => check.differences.filter((difference) => difference.within));
  return {
    cases: cases.length,
    checks: checks.length,
    failedChecks: checks.filter((check) => !check.agrees).length,
    walks: routes.reduce((sum, check) => sum + check.walks, 0),
    flipsWithin: within.length,
    errors: runs.filter((run) => run.error !== null).length,
    skipped: runs.filter((run) => run.skipped !== null).length,
  };
}
