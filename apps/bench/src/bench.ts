/** Measures the groups of a plan one after another and gathers the results. */
import { cpus, release, totalmem, type } from 'node:os';
import { compile, wasm } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { loadLayer } from '@espalier/runtime';
import { openWasm } from '@espalier/runtime-wasm';
import { baselines } from './baselines/index.ts';
import { ceilings } from './baselines/native.ts';
import { type Baseline, isAbsent, type Work } from './contract.ts';
import { type Entrant, measure, type Pace, type Round, type Spread, spreadOf } from './measure.ts';
import { prepareOwn } from './own.ts';
import { type Group, groupName } from './plan.ts';
import type { Amdahl, Machine, Result, ResultRow, Results } from './results.ts';
import { type Block, denseWork, encoderWork, treeWork } from './works.ts';

export interface BenchOptions {
  readonly groups: readonly Group[];
  readonly seed: number;
  readonly pace: Pace;
  /** Names of baselines; empty: all. */
  readonly baselines: readonly string[];
  readonly command: string;
  /** Told what happens, for a status line. */
  readonly progress?: (text: string) => void;
  /** Told of each group as it is done. */
  readonly done?: (result: Result) => void;
}

export const OURS = 'espalier';

/** Runs a bench. Rejects only for defects: absent and wrong contenders are part of the results. */
export async function runBench(options: BenchOptions): Promise<Results> {
  const machine = describeMachine();
  const results: Result[] = [];
  const amdahl: Amdahl[] = [];
  const stopped = (): boolean => options.pace.stop?.aborted === true;
  for (const group of options.groups) {
    if (stopped()) break;
    options.progress?.(`${groupName(group)}: making weights and the float64 reference`);
    const { result, line } =
      group.kind === 'encoder'
        ? await encoderGroup(group, machine, options)
        : await layerGroup(group, machine, options);
    results.push(result);
    if (line !== null) amdahl.push(line);
    options.done?.(result);
  }
  const call = stopped() ? undefined : await callOverhead();
  const { command, seed } = options;
  return {
    version: 1,
    command,
    seed,
    machine,
    results,
    amdahl,
    ...(call === undefined ? {} : { call }),
    stopped: stopped(),
  };
}

function describeMachine(): Machine {
  const found = ceilings();
  const list = cpus();
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: list[0]?.model.trim() ?? 'unknown',
    cores: list.length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    ...('reason' in found ? {} : found),
  };
}

/** Somebody to enter, by who it is and what it does. */
interface Candidate {
  readonly name: string;
  readonly work: Work;
  readonly by: Baseline | null;
}

interface Measurement {
  readonly round: Round;
  readonly skipped: Result['skipped'];
}

async function measureAll(candidates: readonly Candidate[], group: Group, options: BenchOptions): Promise<Measurement> {
  const entrants: Entrant[] = [];
  const skipped: { name: string; reason: string; command?: string }[] = [];
  try {
    for (const { name, work, by } of candidates) {
      options.progress?.(`${groupName(group)}: preparing ${name}`);
      const ready =
        by === null ? await prepareOwn(work, group.mode, group.threads) : await prepared(by, work, group.threads);
      if (isAbsent(ready)) skipped.push({ name, ...ready });
      else entrants.push({ name, work, contender: ready });
    }
    options.progress?.(`${groupName(group)}: checking, warming up and timing ${entrants.length} contenders`);
    return { round: await measure(entrants, options.pace), skipped };
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

const chosen = (kind: Work['kind'], { baselines: names }: BenchOptions): readonly Baseline[] =>
  baselines.filter((b) => b.kinds.includes(kind) && (names.length === 0 || names.includes(b.name)));

async function layerGroup(group: Group, machine: Machine, options: BenchOptions) {
  const { tokens, size, width, kind } = group;
  const work =
    kind === 'dense' ? denseWork(size, tokens, options.seed, width) : treeWork(size, tokens, options.seed, width);
  const candidates: Candidate[] = [
    { name: OURS, work, by: null },
    ...chosen(kind, options).map((by) => ({ name: by.name, work, by })),
  ];
  if (kind === 'tree') {
    // What the tree stands for: as wide as it has neurons, by everybody; and as wide as it has levels, the same arithmetic.
    const neurons = 2 ** (size + 1) - 1;
    const dense = denseWork(neurons, tokens, options.seed, width);
    const equal = denseWork(size + 1, tokens, options.seed, width);
    const native = ['onnxruntime-node', 'openblas'];
    candidates.push({ name: `${OURS}, dense ${neurons}`, work: dense, by: null });
    for (const by of chosen('dense', options).filter((b) => native.includes(b.name)))
      candidates.push({ name: `${by.name}, dense ${neurons}`, work: dense, by });
    candidates.push({ name: `${OURS}, dense ${size + 1}`, work: equal, by: null });
  }
  const { round, skipped } = await measureAll(candidates, group, options);
  return { result: resultOf(group, work, candidates, round, skipped, machine), line: null };
}

async function encoderGroup(group: Group, machine: Machine, options: BenchOptions) {
  const works = new Map<Block, Work>(
    (['dense', 'tree', 'none'] as const).map((b) => [b, encoderWork(group.size, b, group.tokens, options.seed)]),
  );
  const work = works.get('dense') as Work;
  const candidates: Candidate[] = [
    { name: OURS, work, by: null },
    ...chosen('encoder', options).map((by) => ({ name: by.name, work, by })),
    { name: `${OURS}, trees`, work: works.get('tree') as Work, by: null },
    { name: `${OURS}, no feedforward`, work: works.get('none') as Work, by: null },
  ];
  const { round, skipped } = await measureAll(candidates, group, options);
  const median = (name: string): number => round.measured.find((m) => m.name === name)?.time.median ?? Number.NaN;
  const [dense, tree, none] = [median(OURS), median(`${OURS}, trees`), median(`${OURS}, no feedforward`)];
  const line: Amdahl = {
    mode: group.mode,
    sequence: group.tokens,
    layers: group.size,
    dense,
    tree,
    none,
    reached: dense / tree,
    possible: dense / none,
  };
  return { result: resultOf(group, work, candidates, round, skipped, machine), line };
}

function resultOf(
  group: Group,
  work: Work,
  candidates: readonly Candidate[],
  round: Round,
  skipped: Result['skipped'],
  machine: Machine,
): Result {
  const rows = round.measured.map(({ name, time, turns, error }): ResultRow => {
    const own = candidates.find((c) => c.name === name)?.work ?? work;
    const gflops = own.flops / time.median / 1e6;
    const ratio = name === OURS ? null : round.ratio(name, OURS);
    return {
      name,
      ...(own === work ? {} : { does: own.name }),
      time,
      turns,
      gflops,
      gigabytes: own.weightBytes / time.median / 1e6,
      ...(machine.gflops === undefined ? {} : { ofCeiling: gflops / (machine.gflops * group.threads) }),
      ...(ratio === null ? {} : { ratio }),
      error,
    };
  });
  const { kind, tokens, threads, mode } = group;
  const note = work.note === undefined ? {} : { note: work.note };
  return { work: work.name, kind, tokens, threads, mode, ...note, rows, skipped, rejected: round.rejected };
}

/** Nanoseconds from JavaScript to a result and back, on a layer too small to count. */
async function callOverhead(): Promise<Spread> {
  using device = await openWasm();
  const artefact = await compile(standardLayer('linear', { dims: { D: 4, O: 4 } }), { target: wasm });
  using layer = await loadLayer(device, artefact, { w: new Float32Array(16).fill(0.5), b: new Float32Array(4) });
  using prepared = await layer.prepare({ T: 1 });
  (prepared.inputs['x'] as Float32Array).fill(1);
  const calls = 20_000;
  const samples: number[] = [];
  for (let i = 0; i < 60; i++) {
    const start = performance.now();
    for (let j = 0; j < calls; j++) prepared.runSync();
    if (i >= 20) samples.push(((performance.now() - start) / calls) * 1e6);
  }
  if (prepared.outputs['y']?.[0] !== 2) throw new Error('the tiny layer gives a wrong result');
  return spreadOf(samples);
}
