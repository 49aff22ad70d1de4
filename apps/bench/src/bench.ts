/** Measures the groups of a plan one after another and gathers the results. */
import type { Tuning } from '@espalier/codegen';
import { type Candidate, lineup, OURS, tunedLineup } from './contenders.ts';
import { type Baseline, isAbsent, type Work } from './contract.ts';
import { measureExtras } from './extras.ts';
import { describeMachine } from './machine.ts';
import { breathing, type Entrant, measure, type Pace, type Round } from './measure.ts';
import { prepareOwn } from './own.ts';
import { type Group, groupName } from './plan.ts';
import type { Amdahl, Machine, Result, ResultRow, Results } from './results.ts';

export interface BenchOptions {
  readonly groups: readonly Group[];
  readonly seed: number;
  readonly pace: Pace;
  /** Names of baselines; empty: all. */
  readonly baselines: readonly string[];
  readonly command: string;
  /** Whether call overhead, memory and size are measured at the end, too; true if absent. */
  readonly extras?: boolean;
  /** Forms to compare with the compiler's own choice, without any baseline. */
  readonly tuning?: Tuning;
  /** Told what happens, for a status line. */
  readonly progress?: (text: string) => void;
  /** Told of each group as it is done. */
  readonly done?: (result: Result) => void;
}

/** Runs a bench. Rejects only for defects: absent and wrong contenders are part of the results. */
export async function runBench(options: BenchOptions): Promise<Results> {
  const machine = describeMachine();
  const results: Result[] = [];
  const amdahl: Amdahl[] = [];
  const stopped = (): boolean => options.pace.stop?.aborted === true;
  for (const group of options.groups) {
    if (stopped()) break;
    options.progress?.(`${groupName(group)}: making weights and the float64 reference`);
    const { result, line } = await measureGroup(group, machine, options);
    // Stopped before anybody had a turn: there is nothing to tell.
    if (stopped() && result.rows.some(({ turns }) => turns === 0)) break;
    results.push(result);
    if (line !== null) amdahl.push(line);
    options.done?.(result);
  }
  const extras = options.extras === false || stopped() ? {} : await measureExtras(options.progress);
  const { command, seed } = options;
  return { version: 2, command, seed, machine, results, amdahl, ...extras, stopped: stopped() };
}

/** Milliseconds after which threads of all peers are asleep. */
const RESTING = 60;

interface Measurement {
  readonly round: Round;
  readonly skipped: Result['skipped'];
}

async function measureAll(candidates: readonly Candidate[], group: Group, options: BenchOptions): Promise<Measurement> {
  const entrants: Entrant[] = [];
  const skipped: { name: string; reason: string; command?: string }[] = [];
  try {
    for (const { name, work, by, isTuned } of candidates) {
      await breathing();
      if (options.pace.stop?.aborted === true) break;
      options.progress?.(`${groupName(group)}: preparing ${name}`);
      const ready =
        by === null
          ? await prepareOwn(work, group.mode, group.threads, isTuned === true ? options.tuning : null)
          : await prepared(by, work, group.threads);
      if (isAbsent(ready)) skipped.push({ name, ...ready });
      else entrants.push({ name, work, contender: ready });
    }
    options.progress?.(`${groupName(group)}: checking, warming up and timing ${entrants.length} contenders`);
    const pace = group.threads === 1 ? options.pace : { rest: RESTING, ...options.pace };
    return { round: await measure(entrants, pace), skipped };
  } finally {
    for (const { contender } of entrants) await contender.dispose();
  }
}

/** A baseline that fails to start is absent, and says why. */
async function prepared(by: Baseline, work: Work, threads: number) {
  try {
    return await by.prepare(work, threads);
  } catch (error) {
    return { reason: `it does not start here: ${(error as Error).message.split('\n')[0]}` };
  }
}

async function measureGroup(group: Group, machine: Machine, options: BenchOptions) {
  const { work, candidates } =
    options.tuning === undefined ? lineup(group, options.seed, options.baselines) : tunedLineup(group, options.seed);
  const { round, skipped } = await measureAll(candidates, group, options);
  return {
    result: resultOf(group, work, candidates, { round, skipped }, machine, options.seed),
    line: group.kind === 'encoder' && options.tuning === undefined ? amdahlOf(group, round) : null,
  };
}

/** By the medians of ratios turn by turn, which hold where the machine drifts; ratios of medians may then exceed what is possible. */
function amdahlOf({ mode, tokens, size }: Group, round: Round): Amdahl {
  const names = { dense: OURS, tree: `${OURS}, trees`, none: `${OURS}, no feedforward` };
  const median = (name: string): number => round.measured.find((m) => m.name === name)?.time.median ?? Number.NaN;
  const ratio = (name: string): number => round.ratio(OURS, name)?.median ?? Number.NaN;
  return {
    ...{ mode, sequence: tokens, layers: size },
    ...{ dense: median(names.dense), tree: median(names.tree), none: median(names.none) },
    ...{ reached: ratio(names.tree), possible: ratio(names.none) },
  };
}

function resultOf(
  group: Group,
  work: Work,
  candidates: readonly Candidate[],
  { round, skipped }: Measurement,
  machine: Machine,
  seed: number,
): Result {
  const rows = round.measured.map(({ name, time, turns, error }): ResultRow => {
    const own = candidates.find((c) => c.name === name)?.work ?? work;
    const gflops = own.flops / time.median / 1e6;
    const gigabytes = own.weightBytes / time.median / 1e6;
    const ratio = name === OURS ? null : round.ratio(name, OURS);
    // Time a token : ours a token, where somebody did fewer of them.
    const share = group.tokens / own.tokens;
    const scaled = ratio && { median: ratio.median * share, low: ratio.low * share, high: ratio.high * share };
    return {
      name,
      ...(own === work ? {} : { does: own.name }),
      ...(own.tokens === group.tokens ? {} : { tokens: own.tokens }),
      time,
      turns,
      gflops,
      gigabytes,
      ...limitOf(machine, gflops / group.threads, gigabytes, own),
      ...(scaled === null ? {} : { ratio: scaled }),
      error,
    };
  });
  const { kind, tokens, threads, mode } = group;
  const note = work.note === undefined ? {} : { note: work.note };
  return {
    group: groupName(group),
    work: work.name,
    kind,
    tokens,
    threads,
    mode,
    ...note,
    seed,
    rows,
    skipped,
    rejected: round.rejected,
  };
}

/** What a large cache may hold. */
const CACHED = 32 * 2 ** 20;

/** Which of the machine's ceilings a row is nearer to, and how near: multiply-adds of the widest vectors, or reading weights. */
function limitOf({ ceilings }: Machine, gflops: number, gigabytes: number, work: Work): Pick<ResultRow, 'limit'> {
  if (ceilings === undefined) return {};
  const bytes = [...work.graph.weights.values()].reduce((n, w) => n + w.data.byteLength, 0);
  const reading = bytes <= CACHED ? ceilings.read24 : ceilings.read128;
  const arithmetic = gflops / (ceilings.fma512 ?? ceilings.fma256);
  const memory = gigabytes / (work.kind === 'tree' ? reading.randomRows : reading.inOrder);
  return {
    limit: memory > arithmetic ? { of: 'memory', share: memory } : { of: 'arithmetic', share: arithmetic },
  };
}
