/**
 * Launches as the driver takes them: for each kernel an array of pointers to its arguments, which lie beside it in memory that
 * does not move, so that running again writes nothing. Also where scratch and status words lie in the submission's own memory.
 */
import type { DeviceLaunch } from '@espalier/runtime';
import koffi from 'koffi';
import type { CudaBuffer } from './buffer.ts';
import type { CudaFunction, CudaProgram } from './program.ts';

/** A launch whose buffers and program were found to be this device's. */
export interface CheckedLaunch {
  readonly launch: DeviceLaunch;
  readonly program: CudaProgram;
  readonly buffers: readonly CudaBuffer[];
  /** Addresses of the bindings' ranges. */
  readonly addresses: readonly bigint[];
}

/** How the submission's own memory on the device is divided: status words, then scratch, which launches share in turn. */
export interface OwnMemory {
  readonly bytes: number;
  /** Bytes of status words, at the start. */
  readonly statusBytes: number;
  /** Byte offset of each launch's status word; undefined for a kernel without checks. */
  readonly status: readonly (number | undefined)[];
  readonly scratch: number;
}

const ALIGNMENT = 256;
const alignUp = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** What a submission needs besides its buffers. Launches run one after another, so the largest scratch serves all. */
export function ownMemory(checked: readonly CheckedLaunch[]): OwnMemory {
  let words = 0;
  let scratchBytes = 0;
  const status = checked.map(({ launch, program }) => {
    const described = program.manifest.launches[launch.launch];
    if (described?.scratch !== 0) scratchBytes = Math.max(scratchBytes, 16, launch.scratch * launch.grid);
    return described?.checks === true ? 4 * words++ : undefined;
  });
  const scratch = alignUp(words * 4);
  return { bytes: scratch + alignUp(scratchBytes), statusBytes: words * 4, status, scratch };
}

/** A launch, ready. */
export interface ReadyLaunch {
  readonly function: CudaFunction;
  readonly grid: number;
  /** Address of the array of pointers to the arguments. */
  readonly parameters: bigint;
  readonly label: string;
}

/** Launches with their arguments. Disposing frees the arguments. */
export interface ReadyLaunches extends Disposable {
  readonly launches: readonly ReadyLaunch[];
}

/** Lays the arguments out: pointers for buffers, then scratch, then the status word, 4-byte integers for dims. */
export function layOut(checked: readonly CheckedLaunch[], memory: OwnMemory, own: bigint): ReadyLaunches {
  const values = checked.map(({ launch, program, addresses }, i) => {
    const described = program.manifest.launches[launch.launch];
    const status = memory.status[i];
    return [
      ...addresses,
      ...(described?.scratch === 0 ? [] : [own + BigInt(memory.scratch)]),
      ...(status === undefined ? [] : [own + BigInt(status)]),
      ...launch.dims.map((dim) => BigInt(dim)),
    ];
  });
  const words = values.reduce((sum, list) => sum + 2 * list.length, 0);
  const start = koffi.alloc('uint64_t', Math.max(1, words)) as bigint;
  const memoryWords = new BigInt64Array(koffi.view(start, Math.max(1, words) * 8));
  let at = 0;
  const launches = values.map((list, i): ReadyLaunch => {
    const pointers = at;
    const { launch, program } = checked[i] as CheckedLaunch;
    for (const [k, value] of list.entries()) {
      const place = pointers + list.length + k;
      memoryWords[pointers + k] = start + BigInt(place * 8);
      // Little-endian, so the low half of a word is the i32 that a dim is.
      memoryWords[place] = value;
    }
    at += 2 * list.length;
    return {
      function: program.functions[launch.launch] as CudaFunction,
      grid: launch.grid,
      parameters: start + BigInt(pointers * 8),
      label: launch.label,
    };
  });
  return { launches, [Symbol.dispose]: () => koffi.free(start) };
}
