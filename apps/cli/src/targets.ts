/**
 * The targets there are: one table, and the modules of people's own. A command knows a target as an object only.
 */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Capabilities, cuda, type Target, wasm, wgsl } from '@espalier/codegen';
import { closest } from '@espalier/ir';
import { UsageError } from './errors.ts';
import { suggestion } from './suggestion.ts';

export interface KnownTarget {
  readonly target: Target;
  /** What it is, in a line. */
  readonly says: string;
}

/** Every target that comes along, by the name `--target` knows it by. */
export const targets: Readonly<Record<string, KnownTarget>> = {
  wasm: { target: wasm, says: 'WebAssembly with 128-bit SIMD: Node, browsers, any engine' },
  wgsl: { target: wgsl, says: 'WebGPU Shading Language: any GPU that a browser or Dawn drives' },
  cuda: { target: cuda, says: 'CUDA C++: NVIDIA GPUs, compiled where it runs' },
};

export const targetNames: readonly string[] = Object.keys(targets);

/**
 * The targets of a list: names of the table, or `./file.ts#name` for a target of one's own. Throws UsageError U002 and U003.
 */
export async function findTargets(list: string, cwd: string): Promise<readonly Target[]> {
  const names = list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0)
    throw new UsageError('U002', '--target names no target', `Targets: ${targetNames.join(', ')}, or ./file.ts#name.`);
  const found: Target[] = [];
  for (const name of names) {
    const target = await findTarget(name, cwd);
    if (found.some((other) => other.name === target.name))
      throw new UsageError('U002', `the target ${target.name} is named twice`, 'Leave one of them out.');
    found.push(target);
  }
  return found;
}

async function findTarget(given: string, cwd: string): Promise<Target> {
  const known = Object.hasOwn(targets, given) ? targets[given] : undefined;
  if (known !== undefined) return known.target;
  if (/[\\/#]|\.[cm]?[jt]s$/.test(given)) return loadTarget(given, cwd);
  const near = closest(given, targetNames);
  throw new UsageError(
    'U002',
    `there is no target ${given}`,
    near === null
      ? `Targets: ${targetNames.join(', ')}, or ./file.ts#name for one of your own.`
      : `Did you mean ${near}?`,
  );
}

/** What a target must have, and of which type. */
const members: Readonly<Record<keyof Target, readonly string[]>> = {
  name: ['string'],
  extension: ['string'],
  defaults: ['object'],
  variants: ['function'],
  schedule: ['function'],
  legalise: ['function'],
  print: ['function'],
  assemble: ['function', 'null'],
  scratch: ['function'],
  requires: ['function'],
  numerics: ['function'],
};

const typeOf = (value: unknown): string => (value === null ? 'null' : typeof value);

const lacks = (value: unknown): readonly string[] =>
  typeof value !== 'object' || value === null
    ? Object.keys(members)
    : Object.entries(members)
        .filter(([name, types]) => !types.includes(typeOf((value as Record<string, unknown>)[name])))
        .map(([name]) => name);

const isTarget = (value: unknown): value is Target => lacks(value).length === 0;

async function loadTarget(given: string, cwd: string): Promise<Target> {
  const [path = '', wanted = ''] = given.split('#');
  const file = resolve(cwd, path);
  if (!existsSync(file))
    throw new UsageError(
      'U003',
      `there is no file ${path}`,
      'Write --target ./my-target.ts#name, the path as seen from here.',
    );
  const module = await importModule(file, path);
  const exported = Object.keys(module).filter((name) => isTarget(module[name]));
  if (wanted === '') {
    const [only, second] = exported;
    if (only !== undefined && second === undefined) return module[only] as Target;
    throw new UsageError(
      'U003',
      only === undefined ? `${path} exports no target` : `${path} exports ${exported.length} targets`,
      only === undefined
        ? 'Export an object of type Target (@espalier/codegen) from it.'
        : `Choose one: ${exported.map((name) => `${path}#${name}`).join(', ')}.`,
    );
  }
  if (!Object.hasOwn(module, wanted))
    throw new UsageError('U003', `${path} exports no ${wanted}`, suggestion(wanted, exported, 'Targets in it'));
  const missing = lacks(module[wanted]);
  if (missing.length > 0)
    throw new UsageError(
      'U003',
      `${wanted} of ${path} is no target: ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing or of another type`,
      'A target is an object of type Target of @espalier/codegen.',
    );
  return module[wanted] as Target;
}

async function importModule(file: string, path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return { ...((await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>) };
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('U003', `${path} could not be loaded: ${detail}`, '--debug shows where it failed.', { cause });
  }
}

/**
 * `f16=true,workgroup-threads=128` for each target: every target gets those that it knows. Throws UsageError U010 for a name that
 * none of them knows and for a value of the wrong kind.
 */
export function capabilitiesFor(
  given: ReadonlyMap<string, string>,
  asked: readonly Target[],
): ReadonlyMap<Target, Capabilities> {
  const names = [...new Set(asked.flatMap((target) => Object.keys(target.defaults)))];
  for (const name of given.keys()) {
    if (names.includes(name)) continue;
    const who = asked.map((target) => target.name).join(', ');
    throw new UsageError('U010', `${who} has no capability ${name}`, suggestion(name, names, 'Capabilities'));
  }
  return new Map(
    asked.map((target) => {
      const own = [...given].filter(([name]) => Object.hasOwn(target.defaults, name));
      return [target, Object.fromEntries(own.map(([name, text]) => [name, valueFor(target, name, text)]))];
    }),
  );
}

function valueFor(target: Target, name: string, text: string): boolean | number {
  const standard = target.defaults[name];
  if (typeof standard === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true';
    throw new UsageError(
      'U010',
      `${name}=${text} of ${target.name} is neither true nor false`,
      `Its default is ${standard}.`,
    );
  }
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new UsageError('U010', `${name}=${text} of ${target.name} is no number`, `Its default is ${standard}.`);
}
