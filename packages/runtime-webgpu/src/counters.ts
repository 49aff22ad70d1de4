/** What a device did, counted: numbers that hold on any adapter, where times hold on one. */

/** Totals since the device was opened. */
export interface WebGpuCounters {
  /** Runs of submissions. */
  readonly runs: number;
  /** Dispatches of kernels; a launch with an empty grid is none. */
  readonly dispatches: number;
  /** Calls of `queue.submit`: one a run, and one for reads that are not part of a run. */
  readonly submissions: number;
  /** Journeys of results to the host (`mapAsync`): one for everything a run reads, its status words among it. */
  readonly readbacks: number;
  /** Bytes copied to the host in them. */
  readonly bytesRead: number;
  /** Bytes written by the host: weights and inputs. */
  readonly bytesWritten: number;
  /** Bytes of storage bound, summed over dispatches: an upper bound on what they may touch. */
  readonly bytesBound: number;
  /** Workgroup memory that one workgroup declares, summed over dispatches. */
  readonly workgroupBytes: number;
  /** Shader modules and compute pipelines compiled. */
  readonly modules: number;
  readonly pipelines: number;
  readonly bindGroups: number;
  /** Storage, uniform and staging buffers created, and their bytes. */
  readonly buffers: number;
  readonly bufferBytes: number;
}

/** The same, to count with. */
export type Tally = { -readonly [Name in keyof WebGpuCounters]: number };

/** All zero. */
export const newTally = (): Tally => ({
  runs: 0,
  dispatches: 0,
  submissions: 0,
  readbacks: 0,
  bytesRead: 0,
  bytesWritten: 0,
  bytesBound: 0,
  workgroupBytes: 0,
  modules: 0,
  pipelines: 0,
  bindGroups: 0,
  buffers: 0,
  bufferBytes: 0,
});

/** What was counted between two readings. */
export const countersBetween = (before: WebGpuCounters, after: WebGpuCounters): WebGpuCounters =>
  Object.fromEntries(
    Object.entries(after).map(([name, value]) => [name, value - before[name as keyof WebGpuCounters]]),
  ) as unknown as WebGpuCounters;
