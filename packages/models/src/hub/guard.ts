/**
 * Keeps network work from hanging: every request of one piece of work shares a signal that fires when the caller cancels
 * or when nothing has arrived for a while, and the work is left then even if a library underneath goes on waiting.
 */
import { CheckpointError } from '../errors.ts';

/** A running watch; `alive` puts the alarm off, `fetch` is the platform's with the signal bound in. */
export interface Guard {
  readonly signal: AbortSignal;
  readonly fetch: typeof fetch;
  alive(): void;
}

/** Thrown inside by {@link Guard.fetch} when a server ignores or refuses a request to go on in the middle of a file. */
export class ResumeRefused extends Error {}

/**
 * Runs `work`; rejects when `signal` fires (M029) or after `quietMs` without a call of `alive` (M025).
 */
export async function guarded<T>(
  what: string,
  quietMs: number,
  signal: AbortSignal | undefined,
  work: (guard: Guard) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const cancel = (): void =>
    controller.abort(new CheckpointError('M029', `${what} was cancelled`, { cause: signal?.reason }));
  const alarm = setTimeout(() => {
    controller.abort(new CheckpointError('M025', `${what}: nothing arrived for ${quietMs / 1000} s`));
  }, quietMs);
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  const left = new Promise<never>((_, reject) => {
    const leave = (): void => reject(controller.signal.reason);
    if (controller.signal.aborted) leave();
    else controller.signal.addEventListener('abort', leave, { once: true });
  });
  try {
    const guard = {
      signal: controller.signal,
      fetch: boundFetch(controller.signal),
      alive: () => void alarm.refresh(),
    };
    const result = work(guard);
    result.catch(() => {});
    return await Promise.race([result, left]);
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(alarm);
    signal?.removeEventListener('abort', cancel);
    left.catch(() => {});
    // Frees connections that the work may have left open.
    controller.abort();
  }
}

function boundFetch(signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, { ...init, signal });
    const from = /^bytes=(\d+)-/.exec(new Headers(init?.headers).get('range') ?? '')?.[1];
    if (from !== undefined && from !== '0') {
      const answered = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
      // The library would take a whole file for its end.
      if (response.status === 416 || (response.ok && (response.status !== 206 || answered !== from))) {
        throw new ResumeRefused();
      }
    }
    return response;
  };
}
