/** Small helpers of this package's tests: where the bundled models are, seeded numbers, folders that vanish, caught errors. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { CheckpointError, type CheckpointErrorCode } from '../src/index.ts';

/** The models that come with the repository and have a golden batch. */
export const BUNDLED = ['tiny-bert', 'tiny-ultrafastbert', 'tiny-ultrafastbert-spam'] as const;

/** Path of a file or folder under the repository's models/. */
export function model(path: string): string {
  return fileURLToPath(new URL(`../../../models/${path}`, import.meta.url));
}

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An empty folder that is removed when the test ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-models-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The CheckpointError that `work` throws or rejects with; anything else fails the test. */
export async function caught(code: CheckpointErrorCode, work: () => unknown): Promise<CheckpointError> {
  let error: unknown;
  try {
    await work();
  } catch (thrown) {
    error = thrown;
  }
  expect(error, 'should have thrown').toBeInstanceOf(CheckpointError);
  const found = error as CheckpointError;
  expect(found.code, found.message).toBe(code);
  expect(found.message).toContain(found.hint);
  expect(found.hint.length).toBeGreaterThan(10);
  return found;
}

/** A safetensors file from a header (object or raw text) and data, with nothing checked. */
export function rawFile(header: unknown, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const text = typeof header === 'string' ? header : JSON.stringify(header);
  const encoded = new TextEncoder().encode(text);
  const file = new Uint8Array(8 + encoded.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(encoded.length), true);
  file.set(encoded, 8);
  file.set(data, 8 + encoded.length);
  return file;
}
