/**
 * Kernels are compiled once, for plain memory. To run on several threads their module must import *shared* memory, which
 * differs by one bit: the flags of the import's limits. This finds that bit by reading the import section properly.
 */
import { ArtefactError } from '@espalier/artefact';

const CUT_SHORT = 'the WebAssembly module is cut short';

const malformed = (why: string): ArtefactError =>
  new ArtefactError('A011', `${why}; compile the layer again with a compiler of this release`);

/** Reads the parts of a module in order; every read checks the end. */
class Reader {
  at: number;
  readonly #bytes: Uint8Array;
  readonly #end: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  get done(): boolean {
    return this.at >= this.#end;
  }

  byte(): number {
    if (this.done) throw malformed(CUT_SHORT);
    return this.#bytes[this.at++] as number;
  }

  /** An unsigned LEB128 number; limits of 64-bit memories may take ten bytes. */
  number(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed(CUT_SHORT);
  }

  name(): string {
    const length = this.number();
    const start = this.at;
    this.at += length;
    if (this.at > this.#end) throw malformed(CUT_SHORT);
    return new TextDecoder().decode(this.#bytes.slice(start, this.at));
  }

  limits(): void {
    const flags = this.byte();
    this.number();
    if (flags & 1) this.number();
  }
}

const IMPORT_SECTION = 2;
const SHARED = 2;
const HAS_MAXIMUM = 1;

/**
 * A copy of `binary` whose import `env.memory` is declared shared. A binary that has it so already is copied as it is. Throws
 * ArtefactError A011 when there is no such import, it has no maximum (shared memory must), or the module is malformed.
 */
export function withSharedMemory(binary: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(binary);
  if (copy.length < 8 || copy[0] !== 0x00 || copy[1] !== 0x61 || copy[2] !== 0x73 || copy[3] !== 0x6d)
    throw malformed('the binary is not a WebAssembly module');
  const sections = new Reader(copy, 8, copy.length);
  while (!sections.done) {
    const id = sections.byte();
    const length = sections.number();
    const end = sections.at + length;
    if (end > copy.length) throw malformed(CUT_SHORT);
    if (id === IMPORT_SECTION) {
      const flagsAt = findMemoryFlags(new Reader(copy, sections.at, end));
      if (flagsAt !== undefined) {
        const flags = copy[flagsAt] as number;
        if (!(flags & HAS_MAXIMUM))
          throw malformed('the WebAssembly module imports memory without a maximum, so it cannot be shared');
        copy[flagsAt] = flags | SHARED;
        return copy;
      }
    }
    sections.at = end;
  }
  throw malformed('the WebAssembly module does not import env.memory');
}

/** Where the limits flags of `env.memory` stand in an import section. */
function findMemoryFlags(reader: Reader): number | undefined {
  for (let left = reader.number(); left > 0; left--) {
    const module = reader.name();
    const field = reader.name();
    switch (reader.byte()) {
      case 0: // function: type index
        reader.number();
        break;
      case 1: // table: element type, limits
        reader.byte();
        reader.limits();
        break;
      case 2: // memory
        if (module === 'env' && field === 'memory') return reader.at;
        reader.limits();
        break;
      case 3: // global: type, mutability
        reader.byte();
        reader.byte();
        break;
      case 4: // tag: attribute, type index
        reader.byte();
        reader.number();
        break;
      default:
        // Nothing that is known: where the next import begins can't be told.
        return undefined;
    }
  }
  return undefined;
}
