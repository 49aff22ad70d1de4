/** `--tuning FILE`: forms that `espalier tune` found, and the capabilities it found them for. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { type Tuning, tuned, tuningProblem } from '@espalier/codegen';
import { UsageError } from './errors.ts';
import type { AskedTarget } from './flags.ts';

const HINT = '`espalier tune LAYER --dims … --out FILE` writes one.';

/** Reads a tuning file. Throws UsageError U012. */
async function readTuning(path: string, cwd: string): Promise<Tuning> {
  const refuse = (why: string, cause?: unknown): UsageError =>
    new UsageError('U012', `${path} ${why}`, HINT, cause === undefined ? {} : { cause });
  const text = await readFile(resolve(cwd, path), 'utf8').catch((cause: unknown) => {
    throw refuse('could not be read', cause);
  });
  let value: Partial<Tuning> | null;
  try {
    value = JSON.parse(text) as Partial<Tuning> | null;
  } catch (cause) {
    throw refuse('is no JSON', cause);
  }
  const isTuning =
    typeof value?.target === 'string' &&
    typeof value.shapes === 'object' &&
    value.shapes !== null &&
    (value.capabilities === undefined || (typeof value.capabilities === 'object' && value.capabilities !== null));
  if (!isTuning) throw refuse('is no tuning');
  if (value?.version !== 1) throw refuse(`is a tuning of version ${value?.version}; this is for version 1`);
  const problem = tuningProblem(value.shapes);
  if (problem !== null) throw refuse(`can't be used: ${problem}`);
  return { capabilities: {}, ...value } as Tuning;
}

/** What of the package that measures is used; it is no dependency, since it brings the peers that it compares with. */
interface Shipped {
  machineKey(): object;
  shippedTuning(key: object, isWide: boolean): Tuning | null;
}

/** The targets as tuned for this very machine, where a tuning for it is shipped; else as they are, and `warn` is told. */
async function withShipped(
  asked: readonly AskedTarget[],
  warn: (text: string) => void,
  from = '@espalier/app-bench',
): Promise<readonly AskedTarget[]> {
  const { machineKey, shippedTuning } = (await import(from).catch((cause: unknown) => {
    throw new UsageError('U012', `tunings are shipped with ${from}, which is not installed`, `npm install ${from}`, {
      cause,
    });
  })) as Shipped;
  return asked.map(({ target, capabilities }) => {
    const tuning = shippedTuning(machineKey(), capabilities['simd-256'] === true);
    if (tuning !== null && tuning.target === target.name) return { target: tuned(target, tuning), capabilities };
    warn(`no tuning is shipped for ${target.name} on this machine; the compiler's own choice of forms is used\n`);
    return { target, capabilities };
  });
}

/** Where a tuning was found, as `espalier tune` writes it. */
interface TunedOn {
  readonly cpu?: string;
  readonly family?: string;
  readonly engine?: string;
}

/**
 * The targets as tuned, with the tuning's capabilities where none were given. A tuning of another engine or processor is used, since its
 * forms are right anywhere and code may be made for another machine than this; `warn` is told. Throws UsageError U012 where the tuning is
 * for none of the targets, or for an engine with other capabilities than were asked for.
 */
export async function withTuning(
  asked: readonly AskedTarget[],
  path: string,
  cwd: string,
  warn: (text: string) => void,
): Promise<readonly AskedTarget[]> {
  if (path === 'shipped') return withShipped(asked, warn);
  const tuning = await readTuning(path, cwd);
  if (!asked.some(({ target }) => target.name === tuning.target))
    throw new UsageError('U012', `${path} is a tuning for ${tuning.target}`, `Ask for --target ${tuning.target}.`);
  const machine = (tuning as { readonly machine?: TunedOn }).machine;
  if (machine !== undefined && !isHere(machine))
    warn(
      `${path} was found on ${machine.cpu ?? 'an unknown processor'}${machine.family === undefined ? '' : ` (${machine.family})`}, ${machine.engine ?? 'an unknown engine'}; ` +
        'the code is right anywhere, and as fast as it can be made only there\n',
    );
  return asked.map(({ target, capabilities }) => {
    if (target.name !== tuning.target) return { target, capabilities };
    const other = Object.keys(capabilities).find(
      (name) => name in tuning.capabilities && tuning.capabilities[name] !== capabilities[name],
    );
    if (other !== undefined)
      throw new UsageError(
        'U012',
        `${path} is a tuning for ${other}=${tuning.capabilities[other]}, not ${capabilities[other]}`,
        `Leave --capability ${other} out, or tune for it.`,
      );
    return { target: tuned(target, tuning), capabilities: { ...tuning.capabilities, ...capabilities } };
  });
}

/** Whether this is the processor and the engine; the processor's family is told by Linux only. */
function isHere({ cpu, family, engine }: TunedOn): boolean {
  const version = `V8 ${process.versions.v8.split('.').slice(0, 2).join('.')}`;
  return cpu === cpus()[0]?.model.trim() && (family === undefined || family === familyHere()) && engine === version;
}

function familyHere(): string | undefined {
  try {
    const text = readFileSync('/proc/cpuinfo', 'utf8');
    const [family, model] = ['cpu family', 'model'].map(
      (key) => new RegExp(`^${key}\\s*: (\\d+)$`, 'm').exec(text)?.[1],
    );
    return `family ${family}, model ${model}`;
  } catch {
    return undefined;
  }
}
