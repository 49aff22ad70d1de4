/** The least reader of safetensors that the golden data need (the real one, with its checks, is in the models package). */
import { readFileSync } from 'node:fs';

export interface Stored {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Int32Array | BigInt64Array;
}

const kinds: Readonly<Record<string, (bytes: ArrayBuffer) => Stored['data']>> = {
  F32: (bytes) => new Float32Array(bytes),
  F64: (bytes) => new Float64Array(bytes),
  I32: (bytes) => new Int32Array(bytes),
  I64: (bytes) => new BigInt64Array(bytes),
};

export function readSafetensors(path: string | URL): ReadonlyMap<string, Stored> {
  const file = new Uint8Array(readFileSync(path)).buffer;
  const length = Number(new DataView(file).getBigUint64(0, true));
  type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length))) as Header;
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__');
  return new Map(
    tensors.map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        const read = kinds[dtype];
        if (read === undefined) throw new Error(`${name}: no reader for ${dtype}`);
        return [name, { shape, data: read(file.slice(8 + length + from, 8 + length + to)) }];
      },
    ),
  );
}
