/** Golden data: recorded inputs and outputs of the original programs, and golden.json, which says what float32 cost them. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readSafetensors, type TensorView, toFloat32, toFloat64, toInt32 } from '@espalier/models';
import { UsageError } from '../errors.ts';
import type { Tensor } from '../numbers.ts';

/** One golden*.safetensors with its part of golden.json. */
export interface GoldenFile {
  readonly path: string;
  /** `golden`, `golden.nomask`. */
  readonly variant: string;
  readonly tensors: ReadonlyMap<string, TensorView>;
  /** golden.json's entry of this variant, or all of it where it has no variants; {} without a golden.json. */
  readonly record: Readonly<Record<string, unknown>>;
}

/** The golden files that lie in a folder, `golden.safetensors` first. */
export async function goldenFilesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((): string[] => []);
  const rank = (name: string): string => name.replace(/^golden\.safetensors$/, '');
  return names
    .filter((name) => /^golden(\..+)?\.safetensors$/.test(name))
    .sort((a, b) => (rank(a) < rank(b) ? -1 : 1))
    .map((name) => join(folder, name));
}

/** Opens a golden file. Throws UsageError V003 when it can't be read; CheckpointError when it is no safetensors file. */
export async function openGolden(path: string): Promise<GoldenFile> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new UsageError('V003', `cannot read golden data ${path}`, 'Check the path after --golden.', { cause });
  });
  const { tensors } = readSafetensors(bytes, path);
  const json = await readJson(join(dirname(path), 'golden.json'));
  const variants = asRecord(json['variants']);
  const record = asRecord(variants[basename(path)] ?? (Object.keys(variants).length === 0 ? json : {}));
  return { path, variant: basename(path, '.safetensors'), tensors, record };
}

async function readJson(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readFile(path, 'utf8').catch(() => '{}');
  try {
    return asRecord(JSON.parse(text));
  } catch (cause) {
    throw new UsageError('V003', `${path} is not valid JSON`, 'Repair it, or move it away: it only gives tolerances.', {
      cause,
    });
  }
}

/** The value as an object; {} when it is none. */
export const asRecord = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

/** A recorded tensor as numbers: F64 stays float64, other floats become float32, integers int32. */
export function tensorOf(view: TensorView): Tensor {
  if (view.dtype === 'F64') return { data: toFloat64(view), shape: view.shape };
  const floating = view.dtype === 'F32' || view.dtype === 'F16' || view.dtype === 'BF16';
  return { data: floating ? toFloat32(view) : toInt32(view), shape: view.shape };
}

/** A recorded tensor that must be there. Throws UsageError V003. */
export function required(golden: GoldenFile, name: string): Tensor {
  const view = golden.tensors.get(name);
  if (view !== undefined) return tensorOf(view);
  const has = [...golden.tensors.keys()].slice(0, 12).join(', ');
  throw new UsageError(
    'V003',
    `${golden.path} has no ${name}; it has ${has}…`,
    'Is it golden data of this checkpoint?',
  );
}
