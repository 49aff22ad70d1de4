/**
 * A device's context and its one stream. Every call of the driver goes through here, so that each result is checked, a lost
 * device is remembered, and nothing is freed while the device may still use it.
 */
import { RuntimeError, type RuntimeErrorCode } from '@espalier/runtime';
import koffi from 'koffi';
import {
  type CallArguments,
  type DriverCall,
  EVENT_DISABLE_TIMING,
  RESULT,
  STREAM_NON_BLOCKING,
  stickyResults,
} from './calls.ts';
import type { Driver } from './driver.ts';

/** Which error a failed call becomes, and what it was for: "layers.0.ffn: launching kernel k0". */
export interface CallPurpose {
  readonly what: string;
  readonly code?: RuntimeErrorCode;
  readonly wayOut?: string;
}

/** Milliseconds to look for an event again and again before a thread is asked to wait for it: waking one takes some 50 µs. */
const SPIN_MILLISECONDS = 0.3;

/** The primary context of a device, retained, with a stream on which everything happens in order. */
export class Context {
  readonly driver: Driver;
  readonly ordinal: number;
  readonly stream: bigint;
  readonly #handle: bigint;
  readonly #device: number;
  readonly #later: (() => void)[] = [];
  #busy = 0;
  #closed = false;
  #lost: string | undefined;

  /** Retains the primary context of `ordinal`, whose CUdevice is `device`. Throws RuntimeError R020, R022 or R027. */
  constructor(driver: Driver, ordinal: number, device: number) {
    this.driver = driver;
    this.ordinal = ordinal;
    const purpose: CallPurpose = { what: 'opening the device', wayOut: 'look at what nvidia-smi says of it' };
    const out = new BigUint64Array(1);
    const retained = driver.invoke('cuDevicePrimaryCtxRetain', out, device);
    if (retained !== RESULT.success) throw this.#failure('cuDevicePrimaryCtxRetain', retained, purpose);
    this.#handle = out[0] as bigint;
    this.#device = device;
    try {
      this.call(purpose, 'cuStreamCreate', out, STREAM_NON_BLOCKING);
    } catch (error) {
      driver.invoke('cuDevicePrimaryCtxRelease_v2', device);
      throw error;
    }
    this.stream = out[0] as bigint;
  }

  /** Why the device answers nothing any more; undefined while it does. */
  get lost(): string | undefined {
    return this.#lost;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Makes the context current on this thread, for other libraries. */
  enter(): void {
    this.call({ what: 'entering the context' }, 'cuCtxSetCurrent', this.#handle);
  }

  /** Throws RuntimeError R012 once the device was disposed of, R022 once it is lost. */
  checkUsable(): void {
    if (this.#closed) throw new RuntimeError('R012', 'the device was disposed of; open another');
    if (this.#lost !== undefined) throw new RuntimeError('R022', this.#lost);
  }

  /** Makes a call in this context and returns its CUresult unless that is an error other than those of `expected`. */
  call<Name extends DriverCall>(purpose: CallPurpose, name: Name, ...args: CallArguments<Name>): void {
    const result = this.attempt(name, ...args);
    if (result !== RESULT.success) throw this.#failure(name, result, purpose);
  }

  /** As `call`, but returns the CUresult whatever it is. */
  attempt<Name extends DriverCall>(name: Name, ...args: CallArguments<Name>): number {
    // Others in this process may have made another context current on this thread.
    const entered = this.driver.invoke('cuCtxSetCurrent', this.#handle);
    return entered === RESULT.success ? this.driver.invoke(name, ...args) : entered;
  }

  /** The error for a call that ended in `result`. A sticky result makes the device lost. */
  failure(name: DriverCall, result: number, purpose: CallPurpose): RuntimeError {
    return this.#failure(name, result, purpose);
  }

  /** A handle or address that a call gives in its first parameter. */
  make<Name extends MakingCall>(purpose: CallPurpose, name: Name, ...rest: Rest<CallArguments<Name>>): bigint {
    const out = new BigUint64Array(1);
    this.call(purpose, name, ...([out, ...rest] as unknown as CallArguments<Name>));
    return out[0] as bigint;
  }

  /** Where the elements of an array lie, for structures that point at it. Valid while the array is used, and only at once. */
  addressOf(array: Uint8Array): bigint {
    return koffi.address(array);
  }

  /** An event; `timing` for one that knows when it happened. */
  makeEvent(what: string, timing = false): bigint {
    return this.make({ what }, 'cuEventCreate', timing ? 0 : EVENT_DISABLE_TIMING);
  }

  /** Marks this point of the stream. */
  record(event: bigint, what: string): void {
    this.call({ what }, 'cuEventRecord', event, this.stream);
  }

  /** Whether everything before the event has been done. */
  reached(event: bigint, purpose: CallPurpose): boolean {
    const result = this.attempt('cuEventQuery', event);
    if (result !== RESULT.success && result !== RESULT.notReady) throw this.#failure('cuEventQuery', result, purpose);
    return result === RESULT.success;
  }

  /**
   * Resolves when everything before the event has been done: looks for a short while, then lets a thread wait, so that events
   * of the program are handled meanwhile. Rejects with RuntimeError R022 for what went wrong in the work itself.
   */
  async settle(event: bigint, purpose: CallPurpose): Promise<void> {
    const end = performance.now() + SPIN_MILLISECONDS;
    do if (this.reached(event, purpose)) return;
    while (performance.now() < end);
    const result = await this.driver.invokeAside('cuEventSynchronize', event);
    if (result === RESULT.invalidContext) return this.#poll(event, purpose);
    if (result !== RESULT.success) throw this.#failure('cuEventSynchronize', result, purpose);
  }

  /** For drivers that want the context to be current on the waiting thread too, which a borrowed thread does not allow. */
  async #poll(event: bigint, purpose: CallPurpose): Promise<void> {
    for (let delay = 0; !this.reached(event, purpose); delay = 1)
      await new Promise<void>((resolve) => void setTimeout(resolve, delay));
  }

  /** Calls `step` `count` times with an event before and after each; resolves to the milliseconds that the device took for each. */
  async timed(count: number, step: (i: number) => void): Promise<readonly number[]> {
    const what = 'timing';
    const events: bigint[] = [];
    try {
      for (let i = 0; i <= count; i++) events.push(this.makeEvent(what, true));
      for (const [i, event] of events.entries()) {
        this.record(event, what);
        if (i < count) step(i);
      }
      await this.settle(events.at(-1) as bigint, { what });
      const elapsed = new Float32Array(1);
      return events.slice(1).map((event, i) => {
        this.call({ what }, 'cuEventElapsedTime', elapsed, events[i] as bigint, event);
        return elapsed[0] as number;
      });
    } finally {
      for (const event of events) this.release(what, 'cuEventDestroy_v2', event);
    }
  }

  /** Runs `body`; meanwhile nothing is freed. Bodies may overlap. */
  async during<T>(body: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await body();
    } finally {
      this.#busy--;
      if (this.#busy === 0) {
        using stack = new DisposableStack();
        for (const free of this.#later.splice(0).reverse()) stack.defer(free);
      }
    }
  }

  /** Frees now, or when what runs has ended. On a lost device the driver's complaints are its last and say nothing new. */
  free(body: () => void): void {
    if (this.#busy > 0) this.#later.push(body);
    else body();
  }

  /** Makes a freeing call. Throws only where the device was in order before. */
  release<Name extends DriverCall>(what: string, name: Name, ...args: CallArguments<Name>): void {
    const wasLost = this.#lost !== undefined;
    const result = this.attempt(name, ...args);
    if (result === RESULT.success || wasLost) return;
    throw this.#failure(name, result, { what });
  }

  /** Gives the stream and the context back. `last` frees what is left before. Waits for what runs. */
  close(last: () => void): void {
    if (this.#closed) return;
    this.#closed = true;
    this.free(() => {
      using stack = new DisposableStack();
      stack.defer(() => this.release('closing the device', 'cuDevicePrimaryCtxRelease_v2', this.#device));
      stack.defer(() => this.release('closing the device', 'cuStreamDestroy_v2', this.stream));
      stack.defer(last);
      stack.defer(() => this.release('closing the device', 'cuStreamSynchronize', this.stream));
    });
  }

  #failure(name: DriverCall, result: number, purpose: CallPurpose): RuntimeError {
    const said = `${name} says ${this.driver.describe(result)}`;
    if (stickyResults.has(result)) {
      this.#lost ??=
        `${purpose.what}: ${said}; device ${this.ordinal} is lost to this process, its memory with it: start a new process. ` +
        'If it happens again with the same layer, compile it again and report it; compute-sanitizer finds the access';
      return new RuntimeError('R022', this.#lost);
    }
    if (result === RESULT.outOfMemory)
      return new RuntimeError('R020', `${purpose.what}: ${said}; dispose of what is not needed, or use smaller inputs`);
    return new RuntimeError(
      purpose.code ?? 'R027',
      `${purpose.what}: ${said}; ${purpose.wayOut ?? 'dispose of the device and open another; report it if it stays'}`,
    );
  }
}

/** Calls whose first parameter receives a handle or an address. */
type MakingCall =
  | 'cuMemAlloc_v2'
  | 'cuMemAllocHost_v2'
  | 'cuEventCreate'
  | 'cuModuleGetFunction'
  | 'cuGraphInstantiateWithFlags';

type Rest<Args> = Args extends [unknown, ...infer Others] ? Others : never;
