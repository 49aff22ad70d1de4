/**
 * The worker threads of a device. The main thread takes part as thread 0. Everything that the workers do together (running
 * a table, taking in kernels) goes one at a time. The main thread never waits without an end: it spins, blocks briefly
 * where it may, and then lets events be handled, so that the death of a worker is noticed and becomes an error.
 */
import { RuntimeError } from '@espalier/runtime';
import { arrive, COMMAND, makeControl, recordTrap, spinWhile, takeTrap, WORD } from './control.ts';
import type { WasmMemory, WasmModule } from './engine.ts';
import { mayBlock, startThread, type Thread, waitWithEvents } from './environment.ts';
import type { Call } from './table.ts';
import type { FromWorker, ToWorker } from './worker.ts';

/** How long the main thread blocks at a barrier before it lets events be handled. */
const BLOCK_MS = 20;
/** How long a worker may take to start or to take a module in. */
const ANSWER_MS = 30_000;

/** What it takes about to wake a thread. */
const WAKING_MS = 0.15;
/** Runs with less than this between them are a row. */
const ROW_MS = 0.1;

const { performance } = globalThis as unknown as { performance: { now(): number } };

/** A kernel that trapped: which launch of the table, and what the engine said. */
export interface Trap {
  readonly launch: number;
  readonly message: string;
}

/** A submission as the pool runs it: its table's address, and the main thread's own calls. */
export interface PoolRun {
  readonly table: number;
  readonly calls: readonly Call[];
  readonly endsAtBarrier: boolean;
}

interface Waiter {
  readonly thread: number;
  readonly kind: FromWorker['kind'];
  readonly resolve: (message: FromWorker) => void;
  readonly reject: (error: Error) => void;
}

export class WorkerPool {
  readonly threads: number;
  readonly #control = makeControl();
  readonly #workers: readonly Thread[];
  readonly #mayBlock = mayBlock();
  #waiters: readonly Waiter[] = [];
  #lost: RuntimeError | undefined;
  #busy: Promise<unknown> | undefined;

  /** Starts `threads` − 1 workers. `open` must succeed before anything is run. */
  constructor(threads: number) {
    this.threads = threads;
    this.#workers = Array.from({ length: threads - 1 }, (_, i) =>
      startThread(`espalier ${i + 1}`, {
        message: (message) => this.#receive(i, message as FromWorker),
        death: (why) => this.#lose(`worker thread ${i + 1} of ${threads} died: ${why}`),
      }),
    );
  }

  /** Waits until all workers have started. Rejects with RuntimeError R022 or R024. */
  async open(memory: WasmMemory): Promise<void> {
    await this.#together(async () => {
      await this.#answers('ready');
      this.#workers.forEach((worker, i) => {
        const start: ToWorker = { kind: 'start', memory, control: this.#control, thread: i + 1, threads: this.threads };
        worker.post(start);
      });
      await this.#serveAgain();
    });
  }

  /** Gives every worker the kernels of a module. Resolves with the first complaint of a worker, if there is one. */
  load(module: WasmModule, first: number, names: readonly string[]): Promise<string | undefined> {
    return this.#tell({ kind: 'load', module, first, names });
  }

  /** Makes every worker let go of kernels. */
  drop(first: number, count: number): Promise<string | undefined> {
    return this.#tell({ kind: 'drop', first, count });
  }

  /**
   * Runs a table on all threads. Returns a promise only when it must wait. Resolves with the trap that ended it, if one did.
   * Throws or rejects with RuntimeError R022 when a worker is dead or dies, R012 when the pool is ended.
   */
  run(run: PoolRun): Trap | undefined | Promise<Trap | undefined> {
    if (this.#busy) return this.#together(() => this.#runNow(run));
    const result = this.#runNow(run);
    if (!(result instanceof Promise)) return result;
    return this.#together(() => result);
  }

  /** Whether some worker sleeps, so that a run would wait some tens of microseconds for it. */
  get asleep(): boolean {
    return Atomics.load(this.#control, WORD.asleep) > 0;
  }

  /**
   * Does `run` on this thread alone, because the others sleep. Waking them is dear even for the thread that only asks for it, so
   * they are woken (for what follows, without waiting for them) once a row of such runs has taken as long as that.
   */
  alone(run: () => void): void {
    const from = performance.now();
    if (from - this.#aloneUntil > ROW_MS) this.#aloneMs = 0;
    run();
    this.#aloneUntil = performance.now();
    this.#aloneMs += this.#aloneUntil - from;
    if (this.#aloneMs < WAKING_MS) return;
    this.#aloneMs = 0;
    Atomics.notify(this.#control, WORD.epoch);
  }

  #aloneUntil = 0;
  #aloneMs = 0;

  /** Resolves when no run is in progress. */
  get idle(): Promise<unknown> {
    return this.#busy ?? Promise.resolve();
  }

  /** Ends all workers; whatever waits for them rejects with RuntimeError R012. Resolves when they have ended. */
  async end(): Promise<void> {
    this.#fail(new RuntimeError('R012', 'the device was disposed of; open another'));
    await Promise.all(this.#workers.map((worker) => worker.end().catch(() => undefined)));
  }

  #runNow(run: PoolRun): Trap | undefined | Promise<Trap | undefined> {
    if (this.#lost) throw this.#lost;
    Atomics.store(this.#control, WORD.table, run.table);
    this.#command(COMMAND.run);
    const step = this.#walk(run, 0, false);
    return step < 0 ? takeTrap(this.#control) : this.#finish(run, step);
  }

  /** Goes on with a run that must wait for events. */
  async #finish(run: PoolRun, step: number): Promise<Trap | undefined> {
    this.#hold(true);
    try {
      for (let at = step; at >= 0; at = this.#walk(run, at, true)) {
        while (!this.#lost && this.#generation === this.#awaited)
          await waitWithEvents(this.#control, WORD.generation, this.#awaited);
        if (this.#lost) throw this.#lost;
      }
      return takeTrap(this.#control);
    } finally {
      this.#hold(false);
    }
  }

  #awaited = 0;

  get #generation(): number {
    return Atomics.load(this.#control, WORD.generation);
  }

  /**
   * The main thread's part from call `from` on; `passed`: the barrier before that call is behind it. Returns −1 at the end,
   * or the index of the call whose barrier (the number of calls: the last barrier) has to be waited for.
   */
  #walk({ calls, endsAtBarrier }: PoolRun, from: number, passed: boolean): number {
    const control = this.#control;
    for (let i = from; i < calls.length; i++) {
      const { launch, barrier, kernel, words } = calls[i] as Call;
      if (barrier && !passed && !this.#meet()) return i;
      passed = false;
      if (!kernel || Atomics.load(control, WORD.trap) !== 0) continue;
      try {
        Reflect.apply(kernel, undefined, words);
      } catch (error) {
        recordTrap(control, launch, error);
      }
    }
    if (endsAtBarrier && !passed && !this.#meet()) return calls.length;
    return -1;
  }

  /** Meets the workers at a barrier; false when that takes so long that events should be handled meanwhile. */
  #meet(): boolean {
    const control = this.#control;
    const generation = arrive(control, this.threads);
    if (generation === undefined || spinWhile(control, WORD.generation, generation)) return true;
    if (this.#mayBlock) {
      Atomics.wait(control, WORD.generation, generation, BLOCK_MS);
      if (Atomics.load(control, WORD.generation) !== generation) return true;
    }
    this.#awaited = generation;
    return false;
  }

  #command(command: number): void {
    Atomics.store(this.#control, WORD.command, command);
    Atomics.add(this.#control, WORD.epoch, 1);
    Atomics.notify(this.#control, WORD.epoch);
  }

  #tell(message: ToWorker): Promise<string | undefined> {
    return this.#together(async () => {
      if (this.#lost) throw this.#lost;
      this.#command(COMMAND.listen);
      for (const worker of this.#workers) worker.post(message);
      return this.#serveAgain();
    });
  }

  async #serveAgain(): Promise<string | undefined> {
    const answers = this.#answers('serving');
    for (const worker of this.#workers) worker.post({ kind: 'serve' } satisfies ToWorker);
    for (const answer of await answers) if (answer.kind === 'serving' && answer.errors[0]) return answer.errors[0];
    return undefined;
  }

  /** Does `task` when all that was asked for before is done. */
  #together<T>(task: () => T | Promise<T>): Promise<T> {
    const before = this.#busy ?? Promise.resolve();
    const mine = before.then(task);
    const settled = mine
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        if (this.#busy === settled) this.#busy = undefined;
      });
    this.#busy = settled;
    return mine;
  }

  #answers(kind: FromWorker['kind']): Promise<readonly FromWorker[]> {
    this.#hold(true);
    const timers = globalThis as unknown as {
      setTimeout(callback: () => void, ms: number): number;
      clearTimeout(id: number): void;
    };
    const late = timers.setTimeout(() => {
      const why = `no answer from a worker thread within ${ANSWER_MS / 1000} s; open the device with threads: 1`;
      this.#fail(new RuntimeError('R024', why));
    }, ANSWER_MS);
    const answers = this.#workers.map(
      (_, thread) =>
        new Promise<FromWorker>((resolve, reject) => {
          if (this.#lost) reject(this.#lost);
          else this.#waiters = [...this.#waiters, { thread, kind, resolve, reject }];
        }),
    );
    return Promise.all(answers).finally(() => {
      timers.clearTimeout(late);
      this.#hold(false);
    });
  }

  #receive(thread: number, message: FromWorker): void {
    const waiter = this.#waiters.find((w) => w.thread === thread && w.kind === message.kind);
    if (!waiter) return;
    this.#waiters = this.#waiters.filter((w) => w !== waiter);
    waiter.resolve(message);
  }

  #lose(why: string): void {
    this.#fail(new RuntimeError('R022', `${why}; the device is lost, dispose of it and open another`));
    // The others may be waiting for the dead one.
    for (const worker of this.#workers) worker.end().catch(() => undefined);
  }

  #fail(error: RuntimeError): void {
    this.#lost ??= error;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(this.#lost);
  }

  #hold(alive: boolean): void {
    for (const worker of this.#workers) worker.hold(alive);
  }
}
