/** What is counted, and how counts are subtracted. All are sums over what was submitted, unless their comment says otherwise. */

export interface Counts {
  /** Calls of `queue.submit`. */
  readonly submissions: number;
  readonly commandBuffers: number;
  readonly passes: number;
  /** Dispatches of compute shaders, indirect ones among them. */
  readonly dispatches: number;
  /** Buffers mapped for reading: journeys back to the host. */
  readonly readbacks: number;
  /** Bytes copied into buffers that the host can read. */
  readonly bytesRead: number;
  /** Bytes the host wrote: `queue.writeBuffer`, and copies out of buffers that the host filled. */
  readonly bytesWritten: number;
  /** Copies from buffer to buffer, those of read-backs and uploads among them, and clears. */
  readonly copies: number;
  /** Bytes of storage buffers bound, summed over dispatches: an upper bound on what they may touch. */
  readonly bytesBound: number;
  /** Workgroup memory that one workgroup declares, summed over dispatches. */
  readonly workgroupBytes: number;
  /** Compute pipelines and shader modules asked for, when they are asked for. */
  readonly pipelines: number;
  readonly modules: number;
  /** Bind groups and buffers made, when they are made. */
  readonly bindGroups: number;
  readonly buffers: number;
  readonly bufferBytes: number;
}

/** The same, to count with. */
export type Tally = { -readonly [Name in keyof Counts]: number };

/** All zero. */
export const newTally = (): Tally => ({
  submissions: 0,
  commandBuffers: 0,
  passes: 0,
  dispatches: 0,
  readbacks: 0,
  bytesRead: 0,
  bytesWritten: 0,
  copies: 0,
  bytesBound: 0,
  workgroupBytes: 0,
  pipelines: 0,
  modules: 0,
  bindGroups: 0,
  buffers: 0,
  bufferBytes: 0,
});

/** Every count's name. */
export const countNames = Object.keys(newTally()) as readonly (keyof Counts)[];

/** Adds `part` to `tally`. */
export function addTo(tally: Tally, part: Partial<Counts>): void {
  for (const name of countNames) tally[name] += part[name] ?? 0;
}

/** `after` − `before`. */
export function between(before: Counts, after: Counts): Counts {
  const result = newTally();
  for (const name of countNames) result[name] = after[name] - before[name];
  return result;
}
