/**
 * Kernels are compiled once, for plain memory. To run on several threads their module must import *shared* memory, which
 * differs by one bit: the flags of the import's limits. This finds that bit. A page fetches this code, so it knows of WebAssembly's
 * binary format only what it needs: sections, and how an import of memory is written.
 */
import { ArtefactError } from '@espalier/artefact';

const malformed = (why: string): ArtefactError =>
  new ArtefactError('A011', `${why}; compile the layer again with a compiler of this release`);

const IMPORT_SECTION = 2;
const SHARED = 2;
const HAS_MAXIMUM = 1;

/** What the import begins with: both names behind their lengths, and the kind "memory". */
const MEMORY_IMPORT = '\x03env\x06memory\x02';

/**
 * A copy of `binary` whose import `env.memory` is declared shared. A binary that has it so already is copied as it is. Throws
 * ArtefactError A011 when there is no such import, it has no maximum (shared memory must), or the module is malformed.
 */
export function withSharedMemory(binary: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(binary);
  let at = 0;
  const byte = (): number => {
    const value = copy[at++];
    if (value === undefined) throw malformed('the WebAssembly module is cut short');
    return value;
  };
  const text = new TextDecoder('latin1').decode(copy);
  if (!text.startsWith('\0asm')) throw malformed('the binary is not a WebAssembly module');
  for (at = 8; at < copy.length; ) {
    const id = byte();
    let length = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const part = byte();
      length += (part & 0x7f) * 2 ** shift;
      more = part >= 0x80;
    }
    const end = at + length;
    if (end > copy.length) throw malformed('the WebAssembly module is cut short');
    const found = id === IMPORT_SECTION ? text.slice(at, end).indexOf(MEMORY_IMPORT) : -1;
    if (found >= 0) {
      at += found + MEMORY_IMPORT.length;
      const flags = byte();
      if (!(flags & HAS_MAXIMUM))
        throw malformed('the WebAssembly module imports memory without a maximum, so it cannot be shared');
      copy[at - 1] = flags | SHARED;
      return copy;
    }
    at = end;
  }
  throw malformed('the WebAssembly module does not import env.memory');
}
