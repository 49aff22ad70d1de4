/**
 * Runs the stages, each in a process of its own, so that a GPU that is lost or a process that dies ends one stage and not the
 * certification. A stage tells its checks line by line as it goes; what it told is in the report even if it ends badly.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GENERATOR } from '@espalier/codegen';
import { cudaReport } from '@espalier/runtime-cuda';
import { ratiosOf } from './bench/ratios.ts';
import { nvidiaDriver } from './nvidia-driver.ts';
import type { CertifyOptions } from './options.ts';
import { type CertificationReport, type Check, REPORT_VERSION, type StageReport, writeReport } from './report.ts';
import { stages } from './stages/index.ts';
import { plainTable, ratioHead, ratioRows } from './table.ts';

/** How a certification ended, as an exit code. */
export const EXIT = { certified: 0, failed: 1, usage: 2, unavailable: 3 } as const;

/** Marks the lines of a stage's output that are checks. */
const MARK = '\u0001';

/** Runs one stage here and tells its checks on the standard output. Resolves to an exit code. */
export async function runStage(name: string, options: CertifyOptions): Promise<number> {
  try {
    await stages[name]?.run({
      root: options.root,
      device: options.device,
      quick: options.quick,
      report: (check) => void process.stdout.write(`${MARK}${JSON.stringify(check)}\n`),
      say: (text) => void process.stderr.write(`${name}: ${text}\n`),
    });
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 1;
  }
}

/** Runs everything and writes the report. `args` are the arguments to start a stage's process with. */
export async function certify(
  options: CertifyOptions,
  args: readonly string[],
  print: (line: string) => void,
): Promise<number> {
  const { library } = options.device;
  const cuda = await cudaReport(library === undefined ? {} : { library });
  const driver = await nvidiaDriver();
  let report: CertificationReport = {
    format: 'espalier-certification',
    version: REPORT_VERSION,
    date: new Date().toISOString(),
    // Without the bundle's folder, which the starting script puts first.
    command: process.argv.slice(3),
    generator: GENERATOR,
    machine: {
      node: process.versions.node,
      platform: `${process.platform} ${process.arch}`,
      cpu: cpus()[0]?.model.trim() ?? 'unknown',
      cores: cpus().length,
      memoryBytes: totalmem(),
      ...(driver === undefined ? {} : { nvidiaDriver: driver }),
    },
    available: cuda.available,
    ...(cuda.reason === undefined ? {} : { reason: cuda.reason }),
    cuda,
    certified: false,
    stages: [],
    ratios: [],
  };
  writeReport(options.output, report);
  if (!cuda.available) {
    print(`no CUDA device: ${cuda.reason}`);
    print(`written to ${options.output}`);
    return EXIT.unavailable;
  }
  for (const device of cuda.devices) print(`device ${device.ordinal}: ${device.name}, sm_${device.sm}`);
  for (const name of options.stages) {
    const stage = await runWhereItCan(name, options, args, (text) => print(`  ${text}`));
    const stagesSoFar = [...report.stages, stage];
    report = { ...report, stages: stagesSoFar, ratios: ratiosOf(stagesSoFar.flatMap(({ checks }) => checks)) };
    writeReport(options.output, report);
    const count = (outcome: Check['outcome']): number => stage.checks.filter((c) => c.outcome === outcome).length;
    print(
      `${name}: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped, ${stage.outcome}`,
    );
    for (const check of stage.checks) if (check.outcome === 'failed') print(`  ${check.name}: ${check.detail}`);
    if (stage.error !== undefined) print(`  ${stage.error}`);
  }
  report = { ...report, certified: report.stages.every((stage) => stage.outcome !== 'failed') };
  writeReport(options.output, report);
  if (report.ratios.length > 0)
    for (const line of ['', ...plainTable(ratioHead, ratioRows(report.ratios)), '']) print(line);
  print(`${report.certified ? 'certified' : 'not certified'}; written to ${options.output}`);
  return report.certified ? EXIT.certified : EXIT.failed;
}

/** Runs a stage in the first environment that has what it needs; see `StageEntry.optional`. */
async function runWhereItCan(
  name: string,
  options: CertifyOptions,
  args: readonly string[],
  say: (text: string) => void,
): Promise<StageReport> {
  const optional = stages[name]?.optional;
  if (!optional) return (await runInOwnProcess(name, args, {}, say)).stage;
  const scratch = mkdtempSync(join(tmpdir(), 'espalier-certify-'));
  try {
    const missed: Check[] = [];
    let seconds = 0;
    for (const { name: where, variables } of optional.environments(options, scratch)) {
      const { stage, said } = await runInOwnProcess(name, args, variables, say);
      const check = stage.checks.find((one) => one.name === optional.needs);
      if (check?.outcome === 'passed') return { ...stage, checks: [...missed, ...stage.checks] };
      seconds += stage.seconds;
      const detail = [check?.detail, stage.error ?? said].filter((text) => text).join('; ') || 'it ended early';
      missed.push({ name: `${optional.needs}, ${where}`, outcome: 'skipped', detail });
    }
    return { name, outcome: 'skipped', seconds, checks: missed };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Lines of a stage's complaints to keep. */
const LAST_LINES = 12;

/** A stage that was run, and the last of what it said on the error stream. */
interface Ran {
  readonly stage: StageReport;
  readonly said: string;
}

/** How long the check that an optional stage needs may take: a driver that hangs must not hold the certification. */
const NEED_SECONDS = 60;

async function runInOwnProcess(
  name: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
  say: (text: string) => void,
): Promise<Ran> {
  const start = performance.now();
  const minutes = stages[name]?.minutes ?? 30;
  const child = spawn(process.execPath, [...process.execArgv, ...args, '--stage', name], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...variables },
    timeout: minutes * 60_000,
    killSignal: 'SIGKILL',
  });
  const needs = stages[name]?.optional?.needs;
  const patience = setTimeout(() => child.kill('SIGKILL'), NEED_SECONDS * 1000);
  if (needs === undefined) clearTimeout(patience);
  const checks: Check[] = [];
  const complaints: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!line.startsWith(MARK)) return;
    const check = JSON.parse(line.slice(1)) as Check;
    checks.push(check);
    if (check.name === needs) clearTimeout(patience);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.startsWith(`${name}: `)) say(line);
    complaints.push(line);
    if (complaints.length > LAST_LINES) complaints.shift();
  });
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  child.on('error', (error) => resolve(error.message));
  // Closed only when all output has been read.
  child.on('close', (code, signal) =>
    resolve(
      code === 0
        ? undefined
        : `${signal === null ? `ended with code ${code}` : `ended by ${signal} (at most ${minutes} minutes are allowed)`}: ${complaints.join('\n')}`,
    ),
  );
  const error = await promise;
  clearTimeout(patience);
  const seconds = (performance.now() - start) / 1000;
  const failed = error !== undefined || checks.some((check) => check.outcome === 'failed');
  const ended = error === undefined ? {} : { error };
  const said = complaints.filter((line) => !line.startsWith(`${name}: `)).join('\n');
  return { stage: { name, outcome: failed ? 'failed' : 'passed', ...ended, seconds, checks }, said };
}
