/** An artefact compiled for the CPU and loaded: a library of its kernels. */
import type { Manifest } from '@espalier/artefact';
import type { Program } from '@espalier/runtime';
import koffi from 'koffi';

/** Runs a launch of the manifest; null, or what went wrong. */
export type Run = (launch: number, grid: number, pointers: BigUint64Array, dims: Int32Array) => string | null;

const MESSAGE_BYTES = 256;

export class HostProgram implements Program {
  readonly manifest: Manifest;
  readonly run: Run;
  readonly #owner: object;
  readonly #unload: () => void;
  #disposed = false;

  /** `owner` stands for the device, `path` is the library's. */
  constructor(owner: object, manifest: Manifest, path: string, disposed: (program: HostProgram) => void) {
    this.manifest = manifest;
    this.#owner = owner;
    const library = koffi.load(path);
    const run = library.func('espalier_run', 'int', ['int', 'int', 'int', 'void *', 'void *', 'void *']);
    const end = library.func('espalier_end', 'void', []);
    const message = new Uint8Array(MESSAGE_BYTES);
    this.run = (launch, grid, pointers, dims) => {
      const threads = manifest.launches[launch]?.workgroup ?? 1;
      if ((run(launch, grid, threads, pointers, dims, message) as number) === 0) return null;
      return new TextDecoder().decode(message.subarray(0, message.indexOf(0)));
    };
    this.#unload = () => {
      end();
      library.unload();
      disposed(this);
    };
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  belongsTo(owner: object): boolean {
    return this.#owner === owner;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#unload();
  }
}
