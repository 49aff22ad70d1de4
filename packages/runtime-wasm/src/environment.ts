/**
 * The differences between Node and browsers that matter here: how a worker is made, whether this thread may block, how many
 * threads the machine has. Node's modules are looked up at run time, so bundles for browsers see none.
 */
import { type NodeThreads, nodeThreads } from './node-threads.ts';

interface BrowserWorker {
  postMessage(message: unknown): void;
  addEventListener(event: string, listener: (event: { data?: unknown; message?: string }) => void): void;
  terminate(): void;
}

/** A worker thread, whichever kind. */
export interface Thread {
  post(message: unknown): void;
  /** Whether the thread keeps the process alive. */
  hold(alive: boolean): void;
  /** Ends the thread, even within a kernel. Resolves when it has ended. */
  end(): Promise<void>;
}

export interface ThreadEvents {
  readonly message: (message: unknown) => void;
  /** The thread died, or could not be made; not called after `end`. */
  readonly death: (why: string) => void;
}

/** Starts a worker running `worker.ts` (`worker.js` once built). */
export function startThread(name: string, events: ThreadEvents): Thread {
  const node = nodeThreads();
  return node ? startNodeThread(node, name, events) : startBrowserThread(name, events);
}

function startNodeThread(node: NodeThreads, name: string, events: ThreadEvents): Thread {
  const file = import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js';
  // The process's own flags are not for the worker: some, such as --input-type, would stop it.
  const worker = new node.Worker(new URL(file, import.meta.url), { name, execArgv: [] });
  let ended = false;
  worker.on('message', events.message);
  worker.on('error', (error) => {
    if (!ended) events.death((error as Error | undefined)?.message ?? String(error));
    ended = true;
  });
  worker.on('exit', (code) => {
    if (!ended) events.death(`it exited with code ${code}`);
    ended = true;
  });
  worker.unref();
  return {
    post: (message) => worker.postMessage(message),
    hold: (alive) => (alive ? worker.ref() : worker.unref()),
    end: async () => {
      ended = true;
      await worker.terminate();
    },
  };
}

function startBrowserThread(name: string, events: ThreadEvents): Thread {
  const { Worker } = globalThis as unknown as {
    Worker: new (url: URL, options: { type: 'module'; name: string }) => BrowserWorker;
  };
  // Bundlers find the worker by this very expression.
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name });
  let ended = false;
  worker.addEventListener('message', (event) => events.message(event.data));
  worker.addEventListener('error', (event) => {
    if (!ended) events.death(event.message || 'its script could not be loaded');
    ended = true;
  });
  return {
    post: (message) => worker.postMessage(message),
    hold: () => {},
    end: async () => {
      ended = true;
      worker.terminate();
    },
  };
}

/** Threads the machine runs at once, as far as it says; at least 1. */
export const hardwareThreads = (): number => {
  const { navigator } = globalThis as { navigator?: { hardwareConcurrency?: number } };
  return Math.max(1, navigator?.hardwareConcurrency ?? 1);
};

/** Whether this thread may block in Atomics.wait; a page's main thread may not. Observed by doing it. */
export const mayBlock = (): boolean => {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
};

/** Lets events be handled until `words[index]` is no longer `value`, or some milliseconds have passed. */
export async function waitWithEvents(
  words: Int32Array<SharedArrayBuffer>,
  index: number,
  value: number,
): Promise<void> {
  // Node's event loop may end during waitAsync, which does not count as work to wait for; a timer does.
  if (typeof Atomics.waitAsync === 'function' && nodeThreads() === undefined) {
    const waiting = Atomics.waitAsync(words, index, value, 50);
    if (waiting.async) await waiting.value;
    return;
  }
  const { setTimeout } = globalThis as unknown as { setTimeout: (callback: () => void, ms: number) => unknown };
  await new Promise<void>((resolve) => setTimeout(resolve, 1));
}
