/** Reading files whole, with the file named when the system refuses. */
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { CheckpointError } from '../errors.ts';

/** Most bytes a single read asks for; systems refuse 2 GiB and more at once. */
const READ_BYTES = 1 << 30;

/**
 * A file's bytes, at an 8-byte aligned address. Larger than 2 GiB is fine.
 *
 * @throws CheckpointError M005 when it cannot be read, M006 when it shrinks under the reader
 */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    const size = (await file.stat()).size;
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const { bytesRead } = await file.read(bytes, at, Math.min(READ_BYTES, size - at), at);
      if (bytesRead === 0) throw new CheckpointError('M006', `the file ended at byte ${at} of ${size}`, { file: path });
      at += bytesRead;
    }
    return bytes;
  } catch (error) {
    throw unreadable(path, error);
  }
}

/**
 * A UTF-8 file's text.
 *
 * @throws CheckpointError M005 when it cannot be read or is not UTF-8
 */
export async function readText(path: string): Promise<string> {
  return decode(await readBytes(path), path);
}

/** {@link readText}, at once. */
export function readTextSync(path: string): string {
  try {
    return decode(readFileSync(path), path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CheckpointError('M005', 'the file is not UTF-8 text', { file: path, cause });
  }
}

function unreadable(path: string, cause: unknown): CheckpointError {
  if (cause instanceof CheckpointError) return cause;
  return new CheckpointError('M005', cause instanceof Error ? cause.message : String(cause), { file: path, cause });
}
