/** `--outputs`: what each target computed, as safetensors files under the names of golden data. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Sizes } from '@espalier/ir';
import { type TensorData, writeSafetensors } from '@espalier/models';
import { type Case, positionsOf } from './cases/case.ts';
import { type CollectionCase, routeNamesOf } from './cases/collection-cases.ts';
import { marginsOf } from './compare/routes.ts';
import { treeShape } from './compare/verdict.ts';
import { UsageError } from './errors.ts';
import { elementCount, type Numbers } from './numbers.ts';
import type { Run } from './references/run.ts';

/** `wasm:threads=2` → `wasm_threads_2`: letters, digits, dots, dashes and underscores only. */
export const fileSafe = (text: string): string => text.replace(/[^A-Za-z0-9._-]+/g, '_');

/** Collects tensors and writes one file for each target and group of cases. */
export interface OutputFiles {
  add(checkpoint: string, one: Case, run: Run): void;
  /** The files written. Throws UsageError V006 when the folder can't be written. */
  write(): Promise<readonly string[]>;
}

/**
 * @param folder one file a target lies here: those of the checkpoint's first case (its golden.safetensors, where it has one).
 * Further cases lie in a folder each below it; with several checkpoints each has a folder of its own.
 */
export function outputFiles(folder: string): OutputFiles {
  const files = new Map<string, { checkpoint: string; group: string; target: string; tensors: TensorData[] }>();
  return {
    add(checkpoint, one, run) {
      const key = JSON.stringify([checkpoint, one.outputGroup, run.name]);
      const file = files.get(key) ?? { checkpoint, group: one.outputGroup, target: run.name, tensors: [] };
      file.tensors.push(...outputsOfCase(one, run));
      files.set(key, file);
    },
    async write() {
      const all = [...files.values()];
      const several = (of: (file: (typeof all)[number]) => string): boolean => new Set(all.map(of)).size > 1;
      const byCheckpoint = several((file) => file.checkpoint);
      const first = new Map<string, string>();
      for (const file of all) if (!first.has(file.checkpoint)) first.set(file.checkpoint, file.group);
      const written: string[] = [];
      for (const file of all) {
        const path = join(
          folder,
          ...(byCheckpoint ? [fileSafe(file.checkpoint)] : []),
          ...(file.group === first.get(file.checkpoint) ? [] : [fileSafe(file.group)]),
          `${fileSafe(file.target)}.safetensors`,
        );
        await writeOrRefuse(path, writeSafetensors(file.tensors, { target: file.target, case: file.group }));
        written.push(path);
      }
      return written;
    },
  };
}

/** Writes a file and the folders above it. Throws UsageError V006. */
export async function writeOrRefuse(path: string, data: Uint8Array | string): Promise<void> {
  try {
    await makeFolder(dirname(resolve(path)));
    await writeFile(path, data);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError('V006', `cannot write ${path}: ${detail}`, 'Name a folder that you may write.', { cause });
  }
}

/** Makes a folder and those above it, one by one: Node's own `recursive` never ends where a parent refuses with ENOENT, as in /proc. */
async function makeFolder(path: string): Promise<void> {
  if (existsSync(path)) return;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  await mkdir(path);
}

/** All tensors of a case under the names of golden data. */
export function outputsOfCase(one: Case, run: Run): readonly TensorData[] {
  const made: TensorData[] = [];
  const shape = (name: string, natural: readonly number[]): readonly number[] => {
    const recorded = one.outputShapes.get(name);
    return recorded !== undefined && elementCount(recorded) === elementCount(natural) ? recorded : natural;
  };
  const add = (name: string, data: Numbers, natural: readonly number[]): void => {
    const integer = data instanceof Int32Array;
    made.push({
      name: `${one.outputPrefix}${name}`,
      dtype: integer ? 'I32' : 'F32',
      shape: shape(name, natural),
      data: integer ? data : Float32Array.from(data),
    });
  };
  for (const [name, input] of one.inputs) if (name !== 'positions') add(name, input.data, input.shape);
  const positions = positionsOf(one);
  if (positions !== undefined) add('mask_positions', Int32Array.from(positions), [positions.length]);
  const dims = new Map(Object.entries(one.dims));
  for (const item of one.items) {
    const values = run.value(item);
    const tensor = one.subject.graph.tensors.get(item.tensor);
    if (values === undefined || tensor === undefined) continue;
    const natural = tensor.shape.map((size) => Sizes.evaluate(size, dims));
    add(item.name, values, natural);
  }
  for (const tree of one.subject.watched.trees) addRoute(one, run, tree, add);
  const names = new Set<string>();
  return made.filter(({ name }) => !names.has(name) && names.add(name));
}

function addRoute(
  one: Case,
  run: Run,
  tree: Case['subject']['watched']['trees'][number],
  add: (name: string, data: Numbers, shape: readonly number[]) => void,
): void {
  const route = run.route(tree);
  if (route === undefined) return;
  const size = treeShape(tree, one.dims);
  const { margins } = marginsOf(size, { ...route, bounds: route.scores, gains: route.scores });
  const { B, S } = one.dims;
  const rows = B !== undefined && S !== undefined && B * S === size.rows ? [B, S] : [size.rows];
  const layer = 'layer' in one ? (one as CollectionCase).layer : null;
  if (layer === null) {
    add(`${tree.label}.nodes`, route.nodes, [...rows, size.trees, size.levels]);
    add(`${tree.label}.logits`, route.scores, [...rows, size.trees, size.levels]);
    add(`${tree.label}.margin`, margins, rows);
    return;
  }
  const names = routeNamesOf(layer, tree.label);
  // Variants of one tree walk alike; their route is written once, under the collection's own name.
  if (names === null || (tree.label !== 'fff' && tree.label !== 'eval_v020')) return;
  const shape = layer.kind === 'fff' ? [size.rows, size.trees, size.levels] : [size.rows, size.levels];
  // A tree of depth 0 with leaf networks decides nothing, and was not recorded.
  if (size.levels === 0) return;
  add(names.nodes, route.nodes, shape);
  add(names.scores, route.scores, shape);
  add('margin', margins, [size.rows]);
  if (layer.kind !== 'leaf_fff') return;
  const leaves = Int32Array.from({ length: size.rows }, (_, row) => {
    const last = (row + 1) * size.levels - 1;
    const right = (route.scores[last] as number) >= 0 ? 1 : 0;
    return 2 * (route.nodes[last] as number) + 1 + right - (2 ** size.levels - 1);
  });
  add('leaves', leaves, [size.rows]);
}
