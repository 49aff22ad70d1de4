/** The CUDA driver library: every call by name, its CUresult, and what the driver says a result means. */
import { RuntimeError } from '@espalier/runtime';
import koffi, { type LibraryHandle } from 'koffi';
import { type CallArguments, type DriverCall, declared, driverCalls, RESULT } from './calls.ts';
import { driverNames, findLibrary, type MissingLibrary } from './library.ts';

type ForeignFunction = ReturnType<LibraryHandle['func']>;

/** The driver of this machine. Knows nothing of devices; throws only for a call that the library does not have. */
export class Driver {
  /** The name or path it was loaded by. */
  readonly path: string;
  readonly #library: LibraryHandle;
  readonly #functions = new Map<DriverCall, ForeignFunction>();
  readonly #texts = new Map<number, string>();

  private constructor(path: string, library: LibraryHandle) {
    this.path = path;
    this.#library = library;
  }

  /** The driver at `path`, or the one the system finds. */
  static find(path?: string): Driver | MissingLibrary {
    const found = findLibrary(path === undefined ? driverNames() : [path]);
    return 'reason' in found ? found : new Driver(found.path, found.handle);
  }

  /** Makes the call; returns its CUresult. Throws RuntimeError R026 when the driver is too old to have it. */
  invoke<Name extends DriverCall>(name: Name, ...args: CallArguments<Name>): number {
    return this.#function(name)(...args) as number;
  }

  /** As `invoke`, on a thread of its own: the event loop goes on meanwhile. The arguments must be numbers or memory that stays. */
  invokeAside<Name extends DriverCall>(name: Name, ...args: CallArguments<Name>): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#function(name).async(...args, (error: Error | null, result: number) => {
      if (error) reject(error);
      else resolve(result);
    });
    return promise;
  }

  /** "CUDA_ERROR_OUT_OF_MEMORY (out of memory)", in the driver's own words. */
  describe(result: number): string {
    const known = this.#texts.get(result);
    if (known !== undefined) return known;
    const ask = (name: string): string | undefined => {
      const out = new BigUint64Array(1);
      const code = this.#library.func(name, 'int', ['int', 'void *'])(result, out) as number;
      return code === RESULT.success && out[0] !== undefined && out[0] !== 0n ? koffi.decode.string(out[0]) : undefined;
    };
    const text = `${ask('cuGetErrorName') ?? `CUDA error ${result}`} (${ask('cuGetErrorString') ?? 'the driver does not know this code'})`;
    this.#texts.set(result, text);
    return text;
  }

  #function(name: DriverCall): ForeignFunction {
    const known = this.#functions.get(name);
    if (known) return known;
    try {
      const kinds = driverCalls[name].map((kind) => declared[kind]);
      const made = this.#library.func(name, 'int', kinds);
      this.#functions.set(name, made);
      return made;
    } catch (cause) {
      throw new RuntimeError(
        'R026',
        `the CUDA driver ${this.path} has no ${name}; install a driver of CUDA 12 or newer`,
        { cause },
      );
    }
  }
}
