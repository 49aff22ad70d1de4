/** The command: arguments in, exit code out. What it prints goes to the streams it is given, so that tests can read it. */
import { join } from 'node:path';
import { CheckpointError } from '@espalier/models';
import { UsageError } from '../errors.ts';
import { writeOrRefuse } from '../outputs.ts';
import { reportHtml } from '../reports/html/page.ts';
import { reportJson } from '../reports/json.ts';
import { renderReport } from '../reports/terminal/render.ts';
import { type Style, styleFor, wantsColour } from '../reports/terminal/style.ts';
import { readRepro } from '../repro/file.ts';
import { replay } from '../repro/replay.ts';
import { departureText } from '../repro/shrink.ts';
import { families as allFamilies } from '../targets/families.ts';
import type { TargetFamily } from '../targets/family.ts';
import { openTargets } from '../targets/open.ts';
import { validate } from '../validate.ts';
import { type Arguments, readArguments } from './arguments.ts';
import { helpText } from './help.ts';
import { progressOn } from './progress.ts';

/** 0 all agree, 1 a difference or a run that failed, 2 a mistake in the arguments or the input. */
export type ExitCode = 0 | 1 | 2;

interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface Surroundings {
  readonly out: Stream;
  readonly error: Stream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly families?: readonly TargetFamily[];
}

/** Runs the command. Rejects only for bugs of the validator itself. */
export async function runCommand(given: readonly string[], around: Surroundings): Promise<ExitCode> {
  const { out, error, environment } = around;
  const families = around.families ?? allFamilies;
  let complain: Style = styleFor(wantsColour(error, environment));
  try {
    const args = readArguments(given);
    if (!args.colour) complain = styleFor(false);
    const style = styleFor(args.colour && wantsColour(out, environment));
    if (args.help) {
      out.write(helpText);
      return 0;
    }
    return args.repro === null
      ? await compareAll(args, given, style, around, families)
      : await again(args, args.repro, style, out, families);
  } catch (problem) {
    if (problem instanceof UsageError) {
      error.write(`${complain.bad(problem.message)}\n${problem.hint}\n`);
      return 2;
    }
    if (problem instanceof CheckpointError) {
      error.write(`${complain.bad(problem.message)}\n`);
      return 2;
    }
    throw problem;
  }
}

async function compareAll(
  args: Arguments,
  given: readonly string[],
  style: Style,
  { out, error }: Surroundings,
  families: readonly TargetFamily[],
): Promise<ExitCode> {
  const progress = progressOn(error);
  const report = await validate({
    checkpoints: args.checkpoints,
    golden: args.golden,
    texts: args.texts,
    targets: args.targets,
    ...(args.outputs === null ? {} : { outputs: args.outputs }),
    ...(args.report === null ? {} : { repros: args.report }),
    command: given,
    progress,
    families,
    timing: args.timing,
  }).finally(() => progress.end());
  out.write(renderReport(report, { style, verbose: args.verbose, says: args.texts.length > 0 }));
  if (args.report !== null) {
    const page = join(args.report, 'index.html');
    await writeOrRefuse(page, reportHtml(report));
    out.write(`Report: ${page}\n`);
  }
  if (args.json !== null) {
    await writeOrRefuse(args.json, reportJson(report));
    out.write(`JSON: ${args.json}\n`);
  }
  if (args.outputs !== null) out.write(`Outputs: ${args.outputs}\n`);
  return report.agrees ? 0 : 1;
}

async function again(
  args: Arguments,
  file: string,
  style: Style,
  out: Stream,
  families: readonly TargetFamily[],
): Promise<ExitCode> {
  const repro = await readRepro(file);
  const { targets } = await openTargets(args.targets.length > 0 ? args.targets : [repro.target], families);
  let fails = false;
  try {
    const dims = Object.entries(repro.dims).map(([name, value]) => `${name} = ${value}`);
    out.write(
      `${style.bold(repro.node)} of ${repro.checkpoint} (${repro.case}), layer ${repro.layer.name}, ${dims.join(', ')}\n`,
    );
    out.write(`recorded on ${repro.target}: ${repro.message}\n`);
    for (const target of targets) {
      const result = await replay(repro, target);
      if (result.meaningChanged)
        out.write(
          style.warn('the interpreter no longer gives the recorded numbers: the layer now means something else\n'),
        );
      if (result.departure === null && result.error === null) {
        out.write(`${style.good('✓')} ${target.spec}: agrees now\n`);
        continue;
      }
      fails = true;
      const why = result.departure === null ? result.error : departureText(result.departure);
      out.write(`${style.bad('✗')} ${target.spec}: still fails. ${why}\n`);
    }
  } finally {
    for (const target of targets) target[Symbol.dispose]();
  }
  return fails ? 1 : 0;
}
