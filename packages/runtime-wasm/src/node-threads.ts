/**
 * Node's worker threads, looked up at run time: no import of a Node module stands anywhere in this package, so that bundles
 * for browsers need no special case.
 */

interface NodeProcess {
  getBuiltinModule?(name: string): unknown;
}

export interface NodeWorker {
  postMessage(message: unknown): void;
  on(event: string, listener: (value: unknown) => void): void;
  ref(): void;
  unref(): void;
  terminate(): Promise<number>;
}

export interface NodeThreads {
  readonly Worker: new (url: URL, options: { name: string; execArgv: readonly string[] }) => NodeWorker;
  readonly parentPort: {
    on(event: 'message', listener: (value: unknown) => void): void;
    postMessage(m: unknown): void;
  } | null;
}

/** Node's worker_threads, or undefined in a browser. */
export const nodeThreads = (): NodeThreads | undefined => {
  const { process } = globalThis as { process?: NodeProcess };
  return process?.getBuiltinModule?.('node:worker_threads') as NodeThreads | undefined;
};
