/** WebAssembly text to binary, by wabt. Loaded on first use: it is a few megabytes. */
import type wabt from 'wabt';

type Wabt = Awaited<ReturnType<typeof wabt>>;

let loading: Promise<Wabt> | null = null;

/** Loads the assembler ahead of its first use. */
export function loadAssembler(): Promise<Wabt> {
  loading ??= import('wabt').then((module) => (module as unknown as { default: typeof wabt }).default());
  return loading;
}

/** Throws when the text is not a valid module: that is a bug of the printer, and the message says where. */
export async function assemble(source: string, name: string): Promise<Uint8Array> {
  const wabt = await loadAssembler();
  try {
    const module = wabt.parseWat(`${name}.wat`, source, { simd: true, relaxed_simd: true, sat_float_to_int: true });
    try {
      return new Uint8Array(module.toBinary({ write_debug_names: false }).buffer);
    } finally {
      module.destroy();
    }
  } catch (error) {
    // It keeps no promise about its memory once it has failed: the next module gets an assembler of its own.
    loading = null;
    throw error;
  }
}
