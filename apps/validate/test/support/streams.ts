/** Runs the command in this process and keeps what it prints. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ExitCode, runCommand } from '../../src/cli/run.ts';
import type { TargetFamily } from '../../src/targets/family.ts';

export const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../../../fixtures/golden/${name}`, import.meta.url));
export const bundled = (name: string): string => fileURLToPath(new URL(`../../../../models/${name}`, import.meta.url));

export interface Ended {
  readonly code: ExitCode;
  readonly out: string;
  readonly error: string;
}

export async function command(args: readonly string[], families?: readonly TargetFamily[]): Promise<Ended> {
  const [out, error]: [string[], string[]] = [[], []];
  const code = await runCommand(args, {
    out: { write: (text) => out.push(text) },
    error: { write: (text) => error.push(text) },
    environment: {},
    ...(families === undefined ? {} : { families }),
  });
  return { code, out: out.join(''), error: error.join('') };
}

/** A folder that is gone after the test. */
export async function scratch(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'espalier-validate-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
