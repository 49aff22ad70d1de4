/** The command: arguments in, exit code out. What it prints goes to the streams it is given, so that tests can read it. */
import { CommanderError } from 'commander';
import { LayerProblem, UsageError } from './errors.ts';
import { program } from './program.ts';
import type { ExitCode, Surroundings } from './surroundings.ts';
import { type Style, styleFor, wantsColour } from './terminal/style.ts';

/** Runs a command line. Rejects for nothing: whatever goes wrong is said on the error stream. */
export async function runCommand(given: readonly string[], around: Surroundings): Promise<ExitCode> {
  // pnpm hands its own "--" on to the script.
  const args = given[0] === '--' ? given.slice(1) : [...given];
  try {
    if (args[0] === 'complete') {
      const { answer } = await import('./completion/answer.ts');
      around.out.write(await answer(args.slice(args[1] === '--' ? 2 : 1), around.cwd));
      return 0;
    }
    const outcome: { code: ExitCode } = { code: 0 };
    await program(around, outcome).parseAsync([...args], { from: 'user' });
    return outcome.code;
  } catch (problem) {
    if (problem instanceof CommanderError) return problem.exitCode === 0 ? 0 : 2;
    const style = styleFor(wantsColour(around.error, around.environment));
    if (args.includes('--debug')) around.error.write(`${stackOf(problem)}\n`);
    return complain(problem, around, style);
  }
}

function stackOf(problem: unknown): string {
  if (!(problem instanceof Error)) return String(problem);
  return `${problem.stack ?? problem.message}${problem.cause === undefined ? '' : `\ncaused by ${stackOf(problem.cause)}`}`;
}

/** Says what went wrong and how to go on. */
function complain(problem: unknown, { error }: Surroundings, style: Style): ExitCode {
  if (problem instanceof UsageError) {
    error.write(`${style.bad(problem.message)}\n${problem.hint}\n`);
    return 2;
  }
  if (problem instanceof LayerProblem) {
    error.write(`${paintDiagnostics(problem.found.message, style)}\n`);
    if (problem.signature !== null) error.write(`\nThe layer is ${problem.signature}.\n`);
    return 1;
  }
  const { name, message } = problem instanceof Error ? problem : { name: 'Error', message: String(problem) };
  error.write(`${style.bad(message)}\n`);
  const hint = hints[name];
  if (hint !== undefined) error.write(`${hint}\n`);
  else error.write('That is a mistake of espalier, not of yours: please report it with what --debug says.\n');
  return 1;
}

/** What to do about the errors of the compiler and the runtime, by their names. */
const hints: Readonly<Record<string, string>> = {
  CompileError: '`espalier explain` shows the kernels there are; `espalier targets` the capabilities.',
  ScheduleRefusal:
    '`espalier explain … --schedules` prints the default schedules, `--after lower` the loops they name.',
  ArtefactError: 'The target and what runs it do not fit together.',
  RuntimeError: '`espalier layers NAME` shows what the layer takes.',
  FaultError: 'With --integers NAME=N the integers of a tensor lie below N.',
  InterpretError: 'With --integers NAME=N the integers of a tensor lie below N.',
};

/** Diagnostics with their headline and carets in colour. */
function paintDiagnostics(text: string, style: Style): string {
  if (!style.coloured) return text;
  return text
    .split('\n')
    .map((line) => {
      if (line.startsWith('error[')) return style.bold(style.bad(line));
      if (/^\s*\|\s*[\^]/.test(line)) return style.bad(line);
      if (/^\s*\|\s*-+/.test(line)) return style.accent(line);
      return line;
    })
    .join('\n');
}
