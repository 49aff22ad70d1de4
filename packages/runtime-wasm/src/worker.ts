/**
 * A worker thread: waits for the epoch to advance, does its part of the submission whose table the control words name, and
 * waits again. Blocked in that wait it can receive no messages, so a command exists that makes it listen: it then takes
 * kernels in, answers, and goes back to waiting. It imports nothing but files of this folder that import nothing outside it.
 */
import { arrive, COMMAND, type ControlWords, recordTrap, WORD, waitForCommand, waitWhile } from './control.ts';
import { type KernelFunction, kernelsOf, type WasmMemory, type WasmModule } from './engine.ts';
import { nodeThreads } from './node-threads.ts';
import { type Call, callsOf, endsAtBarrier, readTable, type Table } from './table.ts';

/** Messages to a worker. After `serve` it listens no more until told to by the control words. */
export type ToWorker =
  | {
      readonly kind: 'start';
      readonly memory: WasmMemory;
      readonly control: ControlWords;
      readonly thread: number;
      readonly threads: number;
    }
  | { readonly kind: 'load'; readonly module: WasmModule; readonly first: number; readonly names: readonly string[] }
  | { readonly kind: 'drop'; readonly first: number; readonly count: number }
  | { readonly kind: 'serve' };

/** Messages from a worker. `serving` answers `serve`, with what went wrong since the last one. */
export type FromWorker = { readonly kind: 'ready' } | { readonly kind: 'serving'; readonly errors: readonly string[] };

interface Prepared {
  readonly table: Table;
  readonly calls: readonly Call[];
}

interface Place {
  readonly memory: WasmMemory;
  readonly control: ControlWords;
  readonly thread: number;
  readonly threads: number;
}

let place: Place | undefined;
let seen = 0;
let errors: string[] = [];
const kernels: KernelFunction[] = [];
let prepared = new Map<number, Prepared>();
let words: Int32Array = new Int32Array();

/** The calls of the table at `address`, made anew when another table lies there. */
function prepare({ memory, thread, threads }: Place, address: number): Prepared {
  const at = address / 4;
  // The main thread may have grown the memory; this thread's view is then short, and growing by nothing brings it up to date.
  if (at + 8 > words.length || at + (words[at + 5] as number) > words.length) {
    memory.grow(0);
    words = new Int32Array(memory.buffer);
  }
  const known = prepared.get(address);
  if (known && known.table.id === words[at]) return known;
  const table = readTable(words, at);
  const fresh = { table, calls: callsOf(table, kernels, thread, threads) };
  prepared.set(address, fresh);
  return fresh;
}

function work(here: Place): void {
  const { control, threads } = here;
  const { table, calls } = prepare(here, Atomics.load(control, WORD.table) >>> 0);
  for (const { launch, barrier, kernel, words } of calls) {
    if (barrier) {
      const generation = arrive(control, threads);
      if (generation !== undefined) waitWhile(control, WORD.generation, generation);
    }
    if (!kernel || Atomics.load(control, WORD.trap) !== 0) continue;
    try {
      Reflect.apply(kernel, undefined, words);
    } catch (error) {
      recordTrap(control, launch, error);
    }
  }
  if (endsAtBarrier(table)) arrive(control, threads);
}

function serve(here: Place): void {
  for (;;) {
    waitForCommand(here.control, seen);
    seen = Atomics.load(here.control, WORD.epoch);
    if (Atomics.load(here.control, WORD.command) === COMMAND.listen) return;
    work(here);
  }
}

function receive(message: ToWorker, post: (message: FromWorker) => void): void {
  switch (message.kind) {
    case 'start':
      place = message;
      words = new Int32Array(message.memory.buffer);
      return;
    case 'load':
      if (!place) return;
      try {
        const loaded = kernelsOf(message.module, place.memory, message.names);
        for (const [i, kernel] of loaded.entries()) kernels[message.first + i] = kernel;
      } catch (error) {
        errors.push(error instanceof Error ? error.message : String(error));
      }
      return;
    case 'drop':
      for (let i = 0; i < message.count; i++) delete kernels[message.first + i];
      prepared = new Map();
      return;
    case 'serve':
      post({ kind: 'serving', errors });
      errors = [];
      if (place) serve(place);
  }
}

function listen(): void {
  const port = nodeThreads()?.parentPort;
  if (port) {
    port.on('message', (message) => receive(message as ToWorker, (answer) => port.postMessage(answer)));
    port.postMessage({ kind: 'ready' } satisfies FromWorker);
    return;
  }
  const scope = globalThis as unknown as {
    onmessage: (event: { data: unknown }) => void;
    postMessage(message: unknown): void;
  };
  scope.onmessage = (event) => receive(event.data as ToWorker, (answer) => scope.postMessage(answer));
  scope.postMessage({ kind: 'ready' } satisfies FromWorker);
}

listen();
