/** The bench as a command. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { HELP, readArguments, UsageError } from './arguments.ts';
import { runBench } from './bench.ts';
import { paperText } from './paper.ts';
import { groupName, plan } from './plan.ts';
import { pageOf } from './report/html.ts';
import { groupText, headText, tailText } from './report/text.ts';

interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface Surroundings {
  readonly out: Stream;
  readonly error: Stream;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Runs the command and gives its exit code. */
export async function benchCommand(
  given: readonly string[],
  { out, error, environment }: Surroundings,
): Promise<0 | 1 | 2> {
  try {
    return await run(given, { out, error, environment });
  } catch (mistake) {
    if (!(mistake instanceof UsageError)) throw mistake;
    error.write(`bench: ${mistake.message}\n(--help says how it is used)\n`);
    return 2;
  }
}

async function run(given: readonly string[], { out, error, environment }: Surroundings): Promise<0 | 1> {
  const asked = readArguments(given, environment, out.isTTY === true);
  if (asked.help) {
    out.write(HELP);
    return 0;
  }
  const all = { ...asked, filter: '' };
  const groups = plan(asked).filter((g) => !asked.paper || g.kind !== 'dense');
  if (groups.length === 0)
    throw new UsageError(
      `no group has all of the words "${asked.filter}"; there are\n${plan(all)
        .map((g) => `  ${groupName(g)}`)
        .join('\n')}`,
    );
  if (asked.list) {
    out.write(`${groups.map(groupName).join('\n')}\n`);
    return 0;
  }
  const stop = new AbortController();
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(130);
    stop.abort();
    error.write('\nstopping after this turn; once more ends at once\n');
  };
  process.on('SIGINT', interrupt);
  const status = (text: string): void => {
    if (error.isTTY === true) error.write(`\r\u001b[K${text.slice(0, 118)}`);
  };
  const { seconds, seed, coloured } = asked;
  try {
    const results = await runBench({
      groups,
      seed,
      baselines: asked.baselines,
      command: `espalier bench ${given.join(' ')}`.trim(),
      pace: {
        seconds,
        turn: Math.min(20, 5 * seconds),
        warmUp: Math.max(0.2, Math.min(6, 1.5 * seconds)),
        stop: stop.signal,
      },
      progress: status,
      done: (result) => {
        status('');
        out.write(`\n${groupText(result, { coloured })}\n`);
      },
    });
    status('');
    out.write(`\n${tailText(results)}\n`);
    if (asked.paper) out.write(`${paperText(results)}\n`);
    out.write(`\n${headText(results)}\n`);
    for (const [file, text] of [
      [asked.json, `${JSON.stringify(results, null, 1)}\n`],
      [asked.html, pageOf(results)],
    ] as const)
      if (file !== null) {
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, text);
        out.write(`written: ${file}\n`);
      }
    return results.results.some((r) => r.rejected.length > 0) ? 1 : 0;
  } finally {
    process.off('SIGINT', interrupt);
  }
}
