/**
 * Runs the stages, each in a process of its own, so that a GPU that is lost or a process that dies ends one stage and not the
 * certification. A stage tells its checks line by line as it goes; what it told is in the report even if it ends badly.
 */
import { spawn } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
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
    command: process.argv.slice(2),
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
    const stage = await runInOwnProcess(name, args, (text) => print(`  ${text}`));
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
  report = { ...report, certified: report.stages.every((stage) => stage.outcome === 'passed') };
  writeReport(options.output, report);
  if (report.ratios.length > 0)
    for (const line of ['', ...plainTable(ratioHead, ratioRows(report.ratios)), '']) print(line);
  print(`${report.certified ? 'certified' : 'not certified'}; written to ${options.output}`);
  return report.certified ? EXIT.certified : EXIT.failed;
}

/** Lines of a stage's complaints to keep. */
const LAST_LINES = 12;

async function runInOwnProcess(
  name: string,
  args: readonly string[],
  say: (text: string) => void,
): Promise<StageReport> {
  const start = performance.now();
  const minutes = stages[name]?.minutes ?? 30;
  const child = spawn(process.execPath, [...process.execArgv, ...args, '--stage', name], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: minutes * 60_000,
    killSignal: 'SIGKILL',
  });
  const checks: Check[] = [];
  const complaints: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.startsWith(MARK)) checks.push(JSON.parse(line.slice(1)) as Check);
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
  const seconds = (performance.now() - start) / 1000;
  const failed = error !== undefined || checks.some((check) => check.outcome === 'failed');
  return { name, outcome: failed ? 'failed' : 'passed', ...(error === undefined ? {} : { error }), seconds, checks };
}
