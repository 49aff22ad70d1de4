/**
 * What all parts of a device share: the GPUDevice, and the three things WebGPU does not do by itself. Errors: every call is
 * made inside error scopes, and what they report is thrown where somebody waits. Loss: a promise of a lost device may never
 * settle, so each wait ends when the device is lost. Ending: a device is destroyed when the work on it is done, not before.
 */
import { RuntimeError } from '@espalier/runtime';
import { newTally, type Tally } from './counters.ts';
import { sayBytes } from './gpu.ts';

/** Why a device was lost: WebGPU's own words. */
export interface WebGpuLoss {
  /** `destroyed`: somebody called `destroy()`; `unknown`: the driver, the hardware or the browser. */
  readonly reason: string;
  readonly message: string;
}

const filters: readonly GPUErrorFilter[] = ['internal', 'out-of-memory', 'validation'];

/** A result that stands at once, and what the device finds wrong with it later. */
export interface Scoped<T> {
  readonly result: T;
  /** Never rejects. */
  readonly error: Promise<RuntimeError | undefined>;
}

export class Host {
  readonly gpu: GPUDevice;
  readonly tally: Tally = newTally();
  /** Counts buffers and programs that were disposed of: a submission looks for its own only when this has changed. */
  disposals = 0;
  disposed = false;
  /** Buffers that exist; what is left of them goes with the device. */
  readonly live = new Set<GPUBuffer>();
  loss: WebGpuLoss | undefined;
  /** Called before the queue is given anything that could change what earlier reads ask for. */
  beforeQueue: () => void = () => {};
  readonly #waiting = new Set<(error: RuntimeError) => void>();
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #unsettled = new Set<Promise<void>>();
  readonly #errors: RuntimeError[] = [];

  /** `owned`: the device is this package's, so errors that escape every scope are its own too. */
  constructor(gpu: GPUDevice, owned: boolean, onLost: (loss: WebGpuLoss) => void) {
    this.gpu = gpu;
    gpu.lost.then(({ reason, message }) => {
      this.loss = { reason, message };
      const error = this.lossError();
      for (const reject of this.#waiting) reject(error);
      this.#waiting.clear();
      if (!this.disposed) onLost(this.loss);
    });
    if (owned)
      gpu.addEventListener('uncapturederror', (event) => {
        event.preventDefault?.();
        this.#errors.push(errorOf(event.error, 'a call'));
      });
  }

  /** Throws RuntimeError R012 or R022 unless the device can be used. */
  checkOpen(): void {
    if (this.disposed) throw new RuntimeError('R012', 'the device was disposed of; open another');
    if (this.loss) throw this.lossError();
  }

  /** R022 with the reason. */
  lossError(): RuntimeError {
    const { reason, message } = this.loss ?? { reason: 'unknown', message: '' };
    return new RuntimeError(
      'R022',
      `the GPU device is lost (${reason})${message ? `: ${message.trim().replace(/\.$/, '')}` : ''}; dispose of it, open another and ` +
        'load everything again, as withRecovery does',
    );
  }

  /** Throws what the device reported since it was last asked. */
  throwErrors(): void {
    const [first, ...others] = this.#errors.splice(0);
    if (!first) return;
    if (others.length > 0) first.message += ` (and ${others.length} more errors)`;
    throw first;
  }

  /** Calls `action`; `what` names it in the error. `watched`: the kinds of error there may be, all unless told. */
  scoped<T>(what: string, action: () => T, watched: readonly GPUErrorFilter[] = filters): Scoped<T> {
    for (const filter of watched) this.gpu.pushErrorScope(filter);
    let pops: readonly Promise<GPUError | null>[] = [];
    let result: T;
    try {
      result = action();
    } finally {
      // A lost device answers or does not; its loss is reported elsewhere.
      pops = watched.map(() => this.untilLost(this.gpu.popErrorScope()).catch(() => null));
    }
    const error = Promise.all(pops).then((errors) => {
      const found = errors.find((candidate) => candidate !== null);
      return found ? errorOf(found, what) : undefined;
    });
    return { result, error };
  }

  /**
   * As `scoped`, for calls whose caller does not wait: their errors are thrown by the next run. `cause`: what may have been wrong
   * before; who waits for that hears of it, and the next run, which may be anybody's, does not.
   */
  scopedLater<T>(what: string, action: () => T, cause?: Promise<RuntimeError | undefined>): T {
    const { result, error } = this.scoped(what, action);
    const settled = error.then(async (found) => {
      const isConsequence = found !== undefined && (await cause) !== undefined;
      this.#unsettled.delete(settled);
      if (found && !isConsequence) this.#errors.push(found);
    });
    this.#unsettled.add(settled);
    return result;
  }

  /** Resolves when all of `scopedLater` so far is known to be right or wrong. */
  async settle(): Promise<void> {
    if (this.#unsettled.size > 0) await Promise.all(this.#unsettled);
  }

  /** `promise`, or a rejection with R022 as soon as the device is lost. */
  untilLost<T>(promise: Promise<T>): Promise<T> {
    if (this.loss) return Promise.reject(this.lossError());
    return new Promise<T>((resolve, reject) => {
      this.#waiting.add(reject);
      promise.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  /** Makes a buffer and counts it. */
  createBuffer(descriptor: GPUBufferDescriptor): GPUBuffer {
    const buffer = this.gpu.createBuffer(descriptor);
    this.live.add(buffer);
    this.tally.buffers++;
    this.tally.bufferBytes += descriptor.size;
    return buffer;
  }

  destroyBuffer(buffer: GPUBuffer): void {
    if (this.live.delete(buffer)) buffer.destroy();
  }

  /** Keeps the device from being destroyed before `work` has ended. */
  track<T>(work: Promise<T>): Promise<T> {
    const ended = work.then(
      () => undefined,
      () => undefined,
    );
    this.#inFlight.add(ended);
    ended.then(() => this.#inFlight.delete(ended));
    return work;
  }

  /** A failed wait as an error: a device that is being lost often fails the wait first and says so a little later. */
  async explain(error: unknown, what: string): Promise<Error> {
    if (error instanceof RuntimeError) return error;
    if (!this.loss) await Promise.race([this.gpu.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
    if (this.loss) return this.lossError();
    return new RuntimeError('R027', `${what} failed: ${messageOf(error)}; ${REPORT}`, { cause: error });
  }

  /** Resolves when nothing is under way; destroys the device if `owned`. */
  async close(owned: boolean): Promise<void> {
    await Promise.all(this.#inFlight);
    await this.untilLost(this.gpu.queue.onSubmittedWorkDone()).catch(() => undefined);
    await this.settle();
    for (const buffer of this.live) buffer.destroy();
    this.live.clear();
    if (owned) this.gpu.destroy();
  }
}

const REPORT = 'compile the layer again, update the driver or browser, and report it if it stays';

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function errorOf(error: GPUError, what: string): RuntimeError {
  const kind = error.constructor.name;
  const message = error.message.trim();
  if (/OutOfMemory/.test(kind))
    return new RuntimeError(
      'R020',
      `the GPU is out of memory at ${what}: ${message}; dispose of what is not needed, or run fewer rows at once`,
      { cause: error },
    );
  return new RuntimeError('R027', `the GPU refuses ${what}: ${message}; ${REPORT}`, { cause: error });
}

/** R025 for a size over a limit. */
export const overLimit = (
  what: string,
  bytes: number,
  limitName: string,
  limit: number,
  wayOut: string,
): RuntimeError =>
  new RuntimeError(
    'R025',
    `${what} takes ${sayBytes(bytes)} (${bytes} bytes), this device allows ${sayBytes(limit)} (${limitName} is ${limit}); ${wayOut}`,
  );
