/** Renders a corpus in processes of their own, one for each set of sources. */
import { spawn } from 'node:child_process';
import { ReplayError } from './errors.ts';
import type { Case, Rendering } from './rendering.ts';
import type { Sources } from './sources.ts';

const SCRIPT = `${import.meta.dirname}/child.ts`;

/** Runs the child and hands over each line it prints. */
async function run(
  args: readonly string[],
  input: string,
  title: string,
  onLine: (line: string) => void,
): Promise<void> {
  const child = spawn(process.execPath, ['--conditions=espalier-source', '--no-warnings', SCRIPT, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let rest = '';
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    const lines = (rest + piece).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    said = (said + piece).slice(-4000);
  });
  // A child that died early can't be written to; its exit code says so below.
  child.stdin.on('error', () => undefined).end(input);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0)
    throw new ReplayError(`${title} could not be rendered`, said.trim() || `The process ended with ${code}.`);
}

/** The cases that these sources know; `only` picks a layer. */
export async function corpusOf({ folder, title }: Sources, only: string): Promise<readonly Case[]> {
  let cases: readonly Case[] = [];
  await run(['corpus', folder, only], '', title, (line) => {
    cases = JSON.parse(line) as readonly Case[];
  });
  return cases;
}

/** Everything rendered, in the order of the corpus. */
export async function renderCorpus(
  { folder, title }: Sources,
  cases: readonly Case[],
  progress: (done: number) => void,
): Promise<readonly Rendering[]> {
  const renderings: Rendering[] = [];
  await run(['render', folder], JSON.stringify(cases), title, (line) => {
    renderings.push(JSON.parse(line) as Rendering);
    progress(renderings.length);
  });
  return renderings;
}

/** The cases of both sides, each once. Where their texts differ, those of the second count. */
export function union(base: readonly Case[], head: readonly Case[]): readonly Case[] {
  const known = new Set(head.map((one) => one.id));
  return [...head, ...base.filter((one) => !known.has(one.id))];
}
