/**
 * `pnpm webgpu:counters [--json FILE] [NAME …]`: what a forward asks of WebGPU, Espalier beside onnxruntime-web, counted by one
 * instrument in one browser. The counts hold on any device that is given the same kernels. The browser's adapter is a software
 * one, so nothing is timed.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { findChromium, openBench } from './browser.ts';
import { bertBaseLayer, bundled, bundledNames, type Case, ultraFastBertLayer } from './cases.ts';
import { compareCase, peersOf, type Row } from './compare.ts';
import { headOf, kernelsOf, lineOf, verdictOf } from './table.ts';

// `pnpm webgpu:counters | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

const print = (line = ''): void => void process.stdout.write(`${line}\n`);

const makers: ReadonlyMap<string, () => Case | Promise<Case>> = new Map<string, () => Case | Promise<Case>>([
  ...bundledNames.map((name): [string, () => Promise<Case>] => [name, () => bundled(name)]),
  ['bert-base-layer', () => bertBaseLayer()],
  ['ultrafastbert-1x11-layer', () => ultraFastBertLayer()],
]);

const USAGE = `usage: pnpm webgpu:counters [--json FILE] [NAME …]

Counts what a forward asks of WebGPU, Espalier beside onnxruntime-web, in Chromium, after the outputs were compared. Nothing is timed.

NAME         ${[...makers.keys()].join(', ')} (all)
--json FILE  the counts as JSON
--help, -h   this text
`;

/** Ends with a mistake in the arguments, or with what this machine lacks. */
function refuse(why: string): never {
  process.stderr.write(`${why}\n\n${USAGE}`);
  process.exit(2);
}

function parsed(given: readonly string[]) {
  try {
    const options = { json: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const;
    return parseArgs({ args: given[0] === '--' ? given.slice(1) : [...given], options, allowPositionals: true });
  } catch (problem) {
    return refuse((problem as Error).message);
  }
}

const { values, positionals } = parsed(process.argv.slice(2));
if (values.help === true) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const unknown = positionals.find((name) => !makers.has(name));
if (unknown !== undefined) refuse(`there is no ${unknown}`);
const chromium = findChromium() ?? refuse('no Chromium on the PATH; put one there, or its place into CHROMIUM');

await using bench = await openBench(chromium);
const all: Row[] = [];
for (const [name, make] of makers) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const from = await make();
  print();
  for (const line of headOf(from.title)) print(line);
  const rows = await compareCase(bench, from, peersOf(from), (row) => print(lineOf(row)));
  all.push(...rows);
  const [ours, ...peers] = rows;
  if (!ours) continue;
  print();
  for (const peer of peers) print(`  ${verdictOf(ours, peer)}`);
  print(`  espalier dispatches ${kernelsOf(ours)}`);
}
print(`\nadapter: ${all[0]?.adapter ?? 'none'}; every output within 1e-4 of the float64 interpreter's`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(all, null, 1)}\n`);
