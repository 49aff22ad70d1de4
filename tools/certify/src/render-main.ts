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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({ options: { save: { type: 'boolean' } }, allowPositionals: true });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) {
    process.stderr.write('usage: pnpm certify:render FILE [--save]\n');
    process.exitCode = 2;
  } else if (values.save === true) {
    const path = await saveReport(file, fileURLToPath(new URL('../results/', import.meta.url)));
    process.stdout.write(`${path}.json\n${path}.md\n`);
  } else process.stdout.write(markdownOf(asReport(JSON.parse(await readFile(file, 'utf8')))));
}
