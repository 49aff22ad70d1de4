/**
 * The header of a safetensors file: found, parsed and checked until every byte of the data belongs to exactly one tensor.
 *
 * Nothing in a file is believed. After this, offsets are in range, sizes match shapes, no two tensors share a byte and
 * none is left over (the format forbids both, so that a file cannot hide data or alias weights).
 */
import { CheckpointError, type CheckpointErrorCode, quoted } from '../errors.ts';
import { asRecord, kindOf, parseJson, place, scanJson } from '../json.ts';
import { DTYPE_BYTES, type Dtype, isDtype } from './dtype.ts';

/** Most bytes of a header, as in the format's reference implementation. */
export const MAX_HEADER_BYTES = 100_000_000;

/** One tensor as the header describes it; offsets count from the first byte after the header. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A checked header. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their data. */
  readonly entries: readonly HeaderEntry[];
  /** Offset of the first data byte in the file. */
  readonly dataStart: number;
}

/**
 * Reads and checks the header of `bytes`, a whole safetensors file.
 *
 * @throws CheckpointError M006…M015
 */
export function readHeader(bytes: Uint8Array, file: string | undefined): SafetensorsHeader {
  const { text, dataStart } = headerText(bytes, file);
  const header = asRecord(parseJson(text, file, 'M008'));
  if (header === undefined) throw new CheckpointError('M008', 'the header is not a JSON object', { file });
  const scan = scanJson(text);
  if (scan.kind === 'duplicate') {
    const what = scan.depth === 1 ? 'two tensors are named' : 'one entry has two values for';
    throw new CheckpointError('M009', `${what} ${quoted(scan.key)} (header ${place(text, scan.offset)})`, {
      file,
      ...(scan.depth === 1 ? { tensor: scan.key } : {}),
    });
  }
  const metadata = checkMetadata(header['__metadata__'], file);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => checkEntry(name, value, file));
  checkLayout(entries, bytes.byteLength - dataStart, file);
  return { metadata, entries, dataStart };
}

function headerText(bytes: Uint8Array, file: string | undefined): { text: string; dataStart: number } {
  if (bytes.byteLength < 8) {
    throw new CheckpointError(
      'M006',
      `${bytes.byteLength} bytes, but a safetensors file starts with an 8-byte length`,
      {
        file,
      },
    );
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new CheckpointError('M007', `the header claims ${length} bytes, the format allows ${MAX_HEADER_BYTES}`, {
      file,
    });
  }
  const dataStart = 8 + Number(length);
  if (dataStart > bytes.byteLength) {
    throw new CheckpointError('M006', `the header claims ${length} bytes, the file has ${bytes.byteLength - 8} left`, {
      file,
    });
  }
  if (length === 0n || bytes[8] !== 0x7b) {
    throw new CheckpointError('M008', 'the header does not start with {', { file });
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, dataStart));
    return { text, dataStart };
  } catch (cause) {
    throw new CheckpointError('M008', 'the header is not UTF-8', { file, cause });
  }
}

function checkMetadata(value: unknown, file: string | undefined): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  const record = asRecord(value);
  if (record === undefined) {
    throw new CheckpointError('M008', `__metadata__ must be an object of texts, not ${kindOf(value)}`, { file });
  }
  for (const [key, text] of Object.entries(record)) {
    if (typeof text !== 'string') {
      throw new CheckpointError('M008', `__metadata__ ${quoted(key)} must be a text, not ${kindOf(text)}`, { file });
    }
  }
  return record as Readonly<Record<string, string>>;
}

function checkEntry(name: string, value: unknown, file: string | undefined): HeaderEntry {
  const fail = (code: CheckpointErrorCode, detail: string): CheckpointError =>
    new CheckpointError(code, detail, { file, tensor: name });
  const record = asRecord(value);
  if (record === undefined) throw fail('M008', `the entry must be an object, not ${kindOf(value)}`);
  const extra = Object.keys(record).find((key) => !['dtype', 'shape', 'data_offsets'].includes(key));
  if (extra !== undefined) throw fail('M008', `the entry has an unknown field ${quoted(extra)}`);
  const { dtype, shape, data_offsets: offsets } = record;
  if (!isDtype(dtype)) {
    throw fail('M010', `dtype is ${kindOf(dtype)}; readable are ${Object.keys(DTYPE_BYTES).join(', ')}`);
  }
  if (!Array.isArray(shape)) throw fail('M011', `the shape must be a list, not ${kindOf(shape)}`);
  let size: number = DTYPE_BYTES[dtype];
  for (const dimension of shape as readonly unknown[]) {
    if (!isIndex(dimension)) throw fail('M011', `a dimension is ${kindOf(dimension)}`);
    size *= dimension;
    // A product beyond 2^53 rounds to 2^53 at least, so this sees every overflow, and at the first step that makes one.
    if (!Number.isSafeInteger(size)) throw fail('M011', `shape [${brief(shape)}] is too large to address`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2) {
    throw fail('M012', `data_offsets must be [begin, end], not ${kindOf(offsets)}`);
  }
  const [begin, end] = offsets as readonly unknown[];
  if (!isIndex(begin)) throw fail('M012', `data_offsets begins at ${kindOf(begin)}`);
  if (!isIndex(end)) throw fail('M012', `data_offsets ends at ${kindOf(end)}`);
  if (begin > end) throw fail('M012', `data_offsets begins at ${begin}, after its end at ${end}`);
  if (end - begin !== size) {
    throw fail('M013', `shape [${brief(shape)}] of ${dtype} needs ${size} bytes, data_offsets give ${end - begin}`);
  }
  return { name, dtype, shape: shape as readonly number[], begin, end };
}

/** Sorts `entries` by their data and checks that they tile `dataBytes` exactly. */
function checkLayout(entries: HeaderEntry[], dataBytes: number, file: string | undefined): void {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end || (a.name < b.name ? -1 : 1));
  let at = 0;
  let previous = '';
  for (const { name, begin, end } of entries) {
    const where = { file, tensor: name };
    if (begin < at) {
      throw new CheckpointError(
        'M014',
        `starts at byte ${begin}, inside ${quoted(previous)}, which ends at ${at}`,
        where,
      );
    }
    if (begin > at) {
      throw new CheckpointError(
        'M015',
        `starts at byte ${begin}, ${begin - at} bytes after the previous tensor`,
        where,
      );
    }
    if (end > dataBytes) {
      throw new CheckpointError(
        'M006',
        `ends at data byte ${end}, but the file has only ${dataBytes} bytes of data`,
        where,
      );
    }
    at = end;
    previous = name;
  }
  if (at < dataBytes) {
    throw new CheckpointError('M015', `${dataBytes - at} bytes follow the last tensor's end at data byte ${at}`, {
      file,
    });
  }
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

function brief(shape: readonly unknown[]): string {
  return shape.length <= 8 ? shape.join(', ') : `${shape.slice(0, 8).join(', ')}, … ${shape.length} dimensions`;
}
