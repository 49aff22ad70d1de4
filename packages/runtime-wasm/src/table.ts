/**
 * A submission as a table of words in the device's memory, from which each thread makes its own list of calls once. A run
 * is then: for each entry, wait at a barrier if it says so, and make the call. Splitting is contiguous and each grid step
 * is computed by one thread, so results never depend on the number of threads.
 */
import type { KernelFunction } from './engine.ts';

/** One launch as it stands in a table. */
export interface TableLaunch {
  /** Index of the kernel among all kernels loaded on the device. */
  readonly kernel: number;
  readonly grid: number;
  /** Whether all threads take part; otherwise the first does it alone. */
  readonly parallel: boolean;
  /** Byte addresses of the bindings, then dims. */
  readonly words: readonly number[];
}

export interface Table {
  /** Distinguishes this table from any that lay at the same address before. */
  readonly id: number;
  readonly launches: readonly TableLaunch[];
  /** Byte address of the first thread's scratch, and bytes from one thread's to the next. */
  readonly scratch: number;
  readonly scratchStride: number;
  /** Byte address of the status words, one a launch. */
  readonly status: number;
}

const HEADER = 6;
const ENTRY = 4;

/** Words that `table` takes. */
export const tableWords = (table: Table): number =>
  table.launches.reduce((sum, launch) => sum + ENTRY + launch.words.length, HEADER);

/** Writes `table` into `words` from index `at` on. */
export function writeTable(table: Table, words: Int32Array, at: number): void {
  const header = [table.id, table.launches.length, table.scratch, table.scratchStride, table.status, tableWords(table)];
  words.set(header, at);
  let next = at + HEADER;
  for (const launch of table.launches) {
    words.set([launch.kernel, launch.grid, launch.parallel ? 1 : 0, launch.words.length, ...launch.words], next);
    next += ENTRY + launch.words.length;
  }
}

/** Reads the table at index `at`; the inverse of `writeTable`. Addresses come back unsigned, other words as they are. */
export function readTable(words: Int32Array, at: number): Table {
  const word = (index: number): number => words[index] as number;
  const launches: TableLaunch[] = [];
  let next = at + HEADER;
  for (let left = word(at + 1); left > 0; left--) {
    const count = word(next + 3);
    const start = next + ENTRY;
    launches.push({
      kernel: word(next),
      grid: word(next + 1),
      parallel: word(next + 2) === 1,
      words: Array.from(words.subarray(start, start + count)),
    });
    next = start + count;
  }
  return {
    id: word(at),
    launches,
    scratch: word(at + 2) >>> 0,
    scratchStride: word(at + 3),
    status: word(at + 4) >>> 0,
  };
}

/** One thread's part in one launch. */
export interface Call {
  /** Index of the launch in its table. */
  readonly launch: number;
  /** Whether all threads meet before it. */
  readonly barrier: boolean;
  /** Absent when this thread has nothing to do in the launch. */
  readonly kernel?: KernelFunction;
  readonly words: readonly number[];
}

/**
 * What thread `thread` of `threads` does in a run of `table`. A barrier stands where what follows or precedes is parallel:
 * launches that the first thread does alone, one after the other, need none between them.
 */
export function callsOf(
  table: Table,
  kernels: readonly KernelFunction[],
  thread: number,
  threads: number,
): readonly Call[] {
  const calls: Call[] = [];
  const scratch = table.scratch + thread * table.scratchStride;
  for (const [i, launch] of table.launches.entries()) {
    const barrier = i > 0 && (launch.parallel || table.launches[i - 1]?.parallel === true);
    const begin = launch.parallel ? Math.floor((launch.grid * thread) / threads) : 0;
    const end = launch.parallel ? Math.floor((launch.grid * (thread + 1)) / threads) : thread === 0 ? launch.grid : 0;
    const kernel = kernels[launch.kernel];
    if (begin >= end) {
      calls.push({ launch: i, barrier, words: [] });
      continue;
    }
    if (!kernel) throw new RangeError(`no kernel ${launch.kernel} is loaded`);
    calls.push({ launch: i, barrier, kernel, words: [begin, end, ...launch.words, scratch, table.status + 4 * i] });
  }
  return calls;
}

/** Whether a run of `table` ends at a barrier: the first thread must not return before the others have finished. */
export const endsAtBarrier = (table: Table): boolean => table.launches.at(-1)?.parallel === true;
