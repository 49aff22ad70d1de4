/**
 * The words that threads agree by. They lie in a small shared buffer of their own, which never grows. The barrier counts
 * arrivals; the last to arrive resets the count and advances the generation, which the others wait for (a sense-reversing
 * barrier whose sense is a counter). A run has as many barriers for every thread whatever goes wrong in it, so nobody is
 * left waiting by an error.
 */

export type ControlWords = Int32Array<SharedArrayBuffer>;

/** Index of each word. */
export const WORD = {
  /** Advanced by the main thread for every command. */
  epoch: 0,
  /** What the epoch asks for, one of COMMAND. */
  command: 1,
  /** Byte address of the submission's table. */
  table: 2,
  arrived: 3,
  generation: 4,
  /** 0, or 1 + the index in the table of the launch that trapped first. */
  trap: 5,
  /** Bytes of the trap's message, which follow the words. */
  trapLength: 6,
  /** Worker threads that stopped spinning for the next command, and sleep. */
  asleep: 7,
} as const;

export const COMMAND = { run: 0, listen: 1 } as const;

const WORDS = 16;
const MESSAGE_BYTES = 1024;

/** Fresh control words, with room for a message. */
export const makeControl = (): ControlWords => new Int32Array(new SharedArrayBuffer(WORDS * 4 + MESSAGE_BYTES));

/** Records that launch `index` trapped; the first one stays. */
export function recordTrap(control: ControlWords, index: number, error: unknown): void {
  if (Atomics.compareExchange(control, WORD.trap, 0, index + 1) !== 0) return;
  const text = new TextEncoder().encode(error instanceof Error ? error.message : String(error)).slice(0, MESSAGE_BYTES);
  new Uint8Array(control.buffer, WORDS * 4).set(text);
  Atomics.store(control, WORD.trapLength, text.length);
}

/** The trap that was recorded, which is thereby cleared. Only between runs. */
export function takeTrap(control: ControlWords): { readonly launch: number; readonly message: string } | undefined {
  const launch = Atomics.exchange(control, WORD.trap, 0) - 1;
  if (launch < 0) return undefined;
  const text = new Uint8Array(control.buffer, WORDS * 4).slice(0, Atomics.exchange(control, WORD.trapLength, 0));
  return { launch, message: new TextDecoder().decode(text) };
}

/** Loads before a thread stops spinning: some tens of microseconds, about what waking a sleeper costs. */
const SPINS = 4000;

const pause = (Atomics as { pause?: () => void }).pause ?? ((): void => {});

/** Spins until the word is no longer `value`; false when it still is after a while. */
export function spinWhile(control: ControlWords, index: number, value: number): boolean {
  for (let i = 0; i < SPINS; i++) {
    if (Atomics.load(control, index) !== value) return true;
    pause();
  }
  return false;
}

/** Waits as long as it takes. Only on threads that may block. */
export function waitWhile(control: ControlWords, index: number, value: number): void {
  if (spinWhile(control, index, value)) return;
  while (Atomics.load(control, index) === value) Atomics.wait(control, index, value);
}

/**
 * Waits for the next command as `waitWhile` does, and says so where it sleeps. A sleeper that is woken and finds nothing new
 * spins for a while before it sleeps again, so a bare `Atomics.notify` gets threads ready.
 */
export function waitForCommand(control: ControlWords, seen: number): void {
  while (!spinWhile(control, WORD.epoch, seen)) {
    Atomics.add(control, WORD.asleep, 1);
    Atomics.wait(control, WORD.epoch, seen);
    Atomics.sub(control, WORD.asleep, 1);
  }
}

/** Arrives at the barrier. Returns the generation to wait for the end of, or undefined for the last to arrive, who need not wait. */
export function arrive(control: ControlWords, threads: number): number | undefined {
  const generation = Atomics.load(control, WORD.generation);
  if (Atomics.add(control, WORD.arrived, 1) + 1 < threads) return generation;
  Atomics.store(control, WORD.arrived, 0);
  Atomics.add(control, WORD.generation, 1);
  Atomics.notify(control, WORD.generation);
  return undefined;
}
