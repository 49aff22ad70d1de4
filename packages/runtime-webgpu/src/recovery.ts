/**
 * Going on after a GPU was lost: a driver is restarted, a laptop wakes, another page hangs the GPU. Everything on the device is
 * gone then; what is needed to make it again is a way to open a device and a way to load.
 */
import { RuntimeError } from '@espalier/runtime';
import type { WebGpuDevice } from './device.ts';

/** What `withRecovery` gives. */
export interface Recovering<T> extends Disposable {
  /** The device in use; another one after a recovery. */
  readonly device: WebGpuDevice;
  /** Devices that were lost and replaced. */
  readonly recoveries: number;
  /**
   * Calls `body` with what is loaded. When the device is lost meanwhile (RuntimeError R022), opens another, loads again and
   * calls `body` again, at most as many times as `attempts` says; so `body` must be good to call twice. Where that fails, the next
   * call tries again. Rejects as `body`, `open` and `load` do, and with R012 after disposal.
   */
  use<R>(body: (loaded: T) => Promise<R>): Promise<R>;
  dispose(): void;
}

export interface RecoveryOptions {
  /** How often one call of `use` opens another device: 1 unless told. */
  readonly attempts?: number;
}

const isError = (error: unknown, code: 'R012' | 'R022'): boolean =>
  error instanceof RuntimeError && error.code === code;

/**
 * Opens a device, loads on it, and does both again when it is lost: `withRecovery(openWebGpu, (device) => loadLayer(device,
 * artefact, weights))`. Rejects as `open` and `load` do.
 */
export async function withRecovery<T extends Disposable>(
  open: () => Promise<WebGpuDevice>,
  load: (device: WebGpuDevice) => Promise<T>,
  options: RecoveryOptions = {},
): Promise<Recovering<T>> {
  interface Session {
    readonly device: WebGpuDevice;
    readonly loaded: T;
    /** Disposed of: what still uses it is told so (R012), which is the loss by another name. */
    ended: boolean;
  }
  const start = async (): Promise<Session> => {
    const device = await open();
    try {
      return { device, loaded: await load(device), ended: false };
    } catch (error) {
      device.dispose();
      throw error;
    }
  };
  const end = (session: Session): void => {
    if (session.ended) return;
    session.ended = true;
    session.loaded[Symbol.dispose]();
    session.device.dispose();
  };
  let current = await start();
  let recovering: Promise<Session> | undefined;
  let recoveries = 0;
  let disposed = false;

  /** One recovery for all callers whose device was `lost`. */
  const replace = async (lost: Session): Promise<void> => {
    if (current !== lost) return;
    recovering ??= (async () => {
      end(lost);
      try {
        return await start();
      } finally {
        recovering = undefined;
      }
    })();
    const fresh = await recovering;
    if (current !== lost) return;
    current = fresh;
    recoveries++;
    if (disposed) end(fresh);
  };

  const dispose = (): void => {
    if (disposed) return;
    disposed = true;
    end(current);
  };
  return {
    get device() {
      return current.device;
    },
    get recoveries() {
      return recoveries;
    },
    async use(body) {
      for (let attempt = 0; ; attempt++) {
        // A recovery is under way, or the last one failed: a driver that restarts has no adapter for a while.
        while (current.ended && !disposed) await replace(current);
        if (disposed) throw new RuntimeError('R012', 'this was disposed of; open another');
        const session = current;
        try {
          return await body(session.loaded);
        } catch (error) {
          const isLost = isError(error, 'R022') || (session.ended && !disposed && isError(error, 'R012'));
          if (!isLost || attempt >= (options.attempts ?? 1)) throw error;
          await replace(session);
        }
      }
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}
