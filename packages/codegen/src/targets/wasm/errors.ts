/** What this target refuses, with a way out. */

/** Raised by the WebAssembly target, for a kernel that the assembler can't read. */
export class WasmRefusal extends Error {
  constructor(kernel: string, message: string) {
    super(`kernel ${kernel} for wasm: ${message}`);
    this.name = 'WasmRefusal';
  }
}
