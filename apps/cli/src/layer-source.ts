/** From what stands on the command line to a checked layer: of the standard library by name, of a file by its path. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  closest,
  DiagnosticError,
  elaborate,
  type LayerIR,
  type Module,
  parseModule,
  standardLayer,
  standardLayerNames,
  standardSource,
  traceLayer,
} from '@espalier/ir';
import { assignments, sizeOf, wordValue } from './assignments.ts';
import { LayerProblem, UsageError } from './errors.ts';
import { layersIn, type Parameters, parametersOf, signatureOf } from './parameters.ts';
import { suggestion } from './suggestion.ts';

/** A layer that was found, before anything is bound. */
export interface FoundLayer {
  /** "espalier/ff.layer", or the path as given. */
  readonly place: string;
  readonly text: string;
  readonly module: Module;
  readonly parameters: Parameters;
  readonly standard: boolean;
}

/** The options that say how a layer is called. */
export interface LayerFlags {
  readonly dims?: readonly string[];
  readonly option?: readonly string[];
  readonly without?: readonly string[];
  readonly storage?: readonly string[];
  readonly layer?: string;
  readonly trace?: boolean;
}

const isPath = (given: string): boolean => /[\\/]/.test(given) || given.endsWith('.layer');

/** Finds a layer. Throws UsageError U004 (not there) and LayerProblem (a text with mistakes). */
export async function findLayer(given: string, wanted: string | undefined, cwd: string): Promise<FoundLayer> {
  const standard = !isPath(given);
  if (standard && !standardLayerNames.includes(given)) {
    const near = closest(given, standardLayerNames);
    throw new UsageError(
      'U004',
      `the standard library has no layer ${given}`,
      `${near === null ? '`espalier layers` lists them.' : `Did you mean ${near}?`} A layer of your own is named by its path: ./${given}.layer.`,
    );
  }
  const text = standard ? standardSource(given) : await readLayer(given, cwd);
  const place = standard ? `espalier/${given}.layer` : given;
  const module = inText(() => parseModule(text, place));
  return { place, text, module, standard, parameters: choose(module, standard ? given : wanted, place) };
}

async function readLayer(path: string, cwd: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, path), 'utf8');
  } catch (cause) {
    const why =
      cause instanceof Error && 'code' in cause && cause.code === 'ENOENT' ? 'there is no such file' : String(cause);
    const name = /([^\\/]+?)(?:\.layer)?$/.exec(path)?.[1] ?? '';
    const hint = standardLayerNames.includes(name)
      ? `The layer of the standard library is called ${name}, without a path.`
      : 'The path is seen from the folder you are in.';
    throw new UsageError('U004', `${path} could not be read: ${why}`, hint, { cause });
  }
}

function choose(module: Module, wanted: string | undefined, place: string): Parameters {
  const layers = layersIn(module);
  const names = layers.map((layer) => layer.name.text);
  const found = wanted === undefined ? layers[0] : layers.find((layer) => layer.name.text === wanted);
  if (wanted === undefined && layers.length > 1)
    throw new UsageError(
      'U004',
      `${place} has ${layers.length} layers`,
      `Choose one with --layer: ${names.join(', ')}.`,
    );
  if (wanted !== undefined && found === undefined)
    throw new UsageError('U004', `${place} has no layer ${wanted}`, suggestion(wanted, names, 'Layers'));
  // A file without a layer is for the checker to explain.
  if (found === undefined) return inText(() => elaborate(module) as never);
  return parametersOf(found);
}

function inText<Result>(work: () => Result, signature: string | null = null): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof DiagnosticError) throw new LayerProblem(cause, signature);
    throw cause;
  }
}

/** Dims that a person might begin with, where one has to write something. */
const typical: Readonly<Record<string, number>> = { D: 64, H: 256, O: 64, V: 1000, P: 512, trees: 1, depth: 5 };

const example = (dims: readonly string[]): string => dims.map((dim) => `${dim}=${typical[dim] ?? 4}`).join(',');

/** The values of `--dims`. Throws UsageError U005 (no size, no dim of the layer) and U006 (a dim of `needed` is missing). */
export function dimsFrom(
  flags: LayerFlags,
  parameters: Parameters,
  needed: readonly string[],
  why: string,
): Readonly<Record<string, number>> {
  const written = assignments(flags.dims ?? [], '--dims');
  for (const name of written.keys()) {
    if (parameters.dims.includes(name)) continue;
    const hint = Object.hasOwn(parameters.options, name)
      ? `It is an option: --option ${name}=${written.get(name)}.`
      : suggestion(name, parameters.dims, 'Its dims');
    throw new UsageError('U005', `${parameters.name} has no dim ${name}`, hint);
  }
  const dims = Object.fromEntries([...written].map(([name, text]) => [name, sizeOf(name, text)]));
  const missing = needed.filter((dim) => !written.has(dim));
  if (missing.length === 0) return dims;
  throw new UsageError(
    'U006',
    `${signatureOf(parameters)} needs a value for ${missing.join(', ')}: ${why}`,
    `E.g. --dims ${[...written].map(([name, text]) => `${name}=${text},`).join('')}${example(missing)}`,
  );
}

function optionsFrom(flags: LayerFlags, parameters: Parameters): Readonly<Record<string, number | boolean | string>> {
  const written = assignments(flags.option ?? [], '--option');
  const names = Object.keys(parameters.options);
  for (const [name, text] of written) {
    if (names.includes(name)) continue;
    const hint = parameters.dims.includes(name)
      ? `It is a dim: --dims ${name}=${text}.`
      : suggestion(name, names, 'Its options');
    throw new UsageError('U005', `${parameters.name} has no option ${name}`, hint);
  }
  return Object.fromEntries([...written].map(([name, text]) => [name, wordValue(text)]));
}

const storages = ['f32', 'f16', 'i32', 'i8'] as const;

function storageFrom(flags: LayerFlags): Readonly<Record<string, (typeof storages)[number]>> {
  const written = [...assignments(flags.storage ?? [], '--storage')];
  return Object.fromEntries(
    written.map(([name, text]) => {
      const storage = storages.find((type) => type === text);
      if (storage === undefined)
        throw new UsageError('U005', `${name}=${text} is no storage type`, suggestion(text, storages, 'Storage types'));
      return [name, storage];
    }),
  );
}

/** A found layer with dims and options bound. Throws as `dimsFrom`, and LayerProblem for what the checker finds. */
export function bindLayer(found: FoundLayer, flags: LayerFlags, dims: Readonly<Record<string, number>>): LayerIR {
  const { parameters, module, standard } = found;
  const args = {
    dims,
    options: optionsFrom(flags, parameters),
    storage: storageFrom(flags),
    without: (flags.without ?? []).flatMap((names) => names.split(',')).filter((name) => name !== ''),
  };
  const layer = inText(
    () => (standard ? standardLayer(parameters.name, args) : elaborate(module, { ...args, layer: parameters.name })),
    signatureOf(parameters),
  );
  return flags.trace === true ? traceLayer(layer) : layer;
}

/** Finds and binds the layer that is to be compiled: dims of weights need values, the others stay open without one. */
export async function layerToCompile(
  given: string,
  flags: LayerFlags,
  cwd: string,
): Promise<{ readonly found: FoundLayer; readonly layer: LayerIR }> {
  const found = await findLayer(given, flags.layer, cwd);
  const why = 'shapes of weights are fixed when it is compiled; dims without a value stay open until it runs';
  const dims = dimsFrom(flags, found.parameters, found.parameters.fixed, why);
  return { found, layer: bindLayer(found, flags, dims) };
}
