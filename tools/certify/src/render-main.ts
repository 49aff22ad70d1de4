/**
 * `pnpm certify:render FILE [--save]`: prints a certification as Markdown; with `--save`, keeps both as
 * `tools/certify/results/DATE-DEVICE.{json,md}`.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { asReport, kept, markdownOf, resultName } from './render.ts';

/** Keeps a report in `folder`; resolves to the path without its ending. Rejects where `file` is no report. */
export async function saveReport(file: string, folder: string): Promise<string> {
  const report = kept(asReport(JSON.parse(await readFile(file, 'utf8'))));
  const path = join(folder, resultName(report));
  await mkdir(folder, { recursive: true });
  await writeFile(`${path}.json`, `${JSON.stringify(report, null, 1)}\n`);
  await writeFile(`${path}.md`, markdownOf(report));
  return path;
}

const USAGE = `usage: pnpm certify:render FILE [--save]

Prints a certification.json as Markdown; with --save, keeps both as tools/certify/results/DATE-DEVICE.{json,md}.
`;

/** The command; what it prints and its exit code: 2 for a mistake in the arguments or a file that is no report. */
export async function render(given: readonly string[]): Promise<{ out?: string; error?: string; code: 0 | 2 }> {
  const options = { save: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
  try {
    const args = given[0] === '--' ? given.slice(1) : [...given];
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    if (values.help === true) return { out: USAGE, code: 0 };
    const [file] = positionals;
    if (file === undefined || positionals.length > 1) return { error: USAGE, code: 2 };
    if (values.save !== true) return { out: markdownOf(asReport(JSON.parse(await readFile(file, 'utf8')))), code: 0 };
    const path = await saveReport(file, fileURLToPath(new URL('../results/', import.meta.url)));
    return { out: `${path}.json\n${path}.md\n`, code: 0 };
  } catch (problem) {
    return { error: `${problem instanceof Error ? problem.message : String(problem)}\n\n${USAGE}`, code: 2 };
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // `pnpm certify:render FILE | head` closes the pipe early: that is no error.
  process.stdout.on('error', (problem: NodeJS.ErrnoException) => {
    if (problem.code !== 'EPIPE') throw problem;
    process.exit(0);
  });
  const { out = '', error = '', code } = await render(process.argv.slice(2));
  process.stdout.write(out);
  process.stderr.write(error);
  process.exitCode = code;
}
