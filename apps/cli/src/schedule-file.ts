/** `--schedule FILE.json`: schedules by kernel, `{ "k0": [{ "step": "unroll", "loop": "i", "limit": 8 }] }`. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Schedule } from '@espalier/codegen';
import { UsageError } from './errors.ts';
import { stepProblem } from './schedule-steps.ts';
import { suggestion } from './suggestion.ts';

const shape =
  'It looks like { "k0": [{ "step": "unroll", "loop": "i", "limit": 8 }] }; `espalier explain … --schedules` prints one.';

/** Reads a schedule file. Throws UsageError U008; whether its steps are legal is for the compiler to say. */
export async function readSchedules(path: string, cwd: string): Promise<Readonly<Record<string, Schedule>>> {
  const text = await readFile(resolve(cwd, path), 'utf8').catch((cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('U008', `${path} could not be read`, why, { cause });
  });
  const value = parsed(text, path);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError('U008', `${path} holds no schedules by kernel`, shape);
  for (const [kernel, steps] of Object.entries(value)) {
    if (!Array.isArray(steps)) throw new UsageError('U008', `${path}: ${kernel} has no list of steps`, shape);
    steps.forEach((step: unknown, i) => {
      const problem = stepProblem(step);
      if (problem === null) return;
      const { says, word, known } = problem;
      const hint = word === null ? shape : suggestion(word, known, 'Known');
      throw new UsageError('U008', `${path}: step ${i + 1} of ${kernel} ${says}`, hint);
    });
  }
  return value as Readonly<Record<string, Schedule>>;
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('U008', `${path} is no JSON: ${why}`, shape, { cause });
  }
}
