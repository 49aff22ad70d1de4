/**
 * SHA-256 of an artefact's code, the same in Node and in browsers: what the compiler writes and a runtime compares. And CRC-32, which
 * notices damage of graph files and manifests at once.
 */
import { ArtefactError } from './errors.ts';
import type { Artefact } from './manifest.ts';

/**
 * Lower-case hex SHA-256 of `bytes` (text: of its UTF-8 form), by WebCrypto. Throws ArtefactError A012 where the page has
 * no WebCrypto, which browsers offer to secure pages only.
 */
export async function sha256Hex(bytes: Uint8Array | string): Promise<string> {
  const data = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
  if (globalThis.crypto?.subtle === undefined)
    throw new ArtefactError(
      'A012',
      'WebCrypto is not available, so checksums cannot be compared; serve the page over https or from localhost',
    );
  // WebCrypto refuses shared memory, so such bytes are copied.
  const plain = (data.buffer instanceof ArrayBuffer ? data : data.slice()) as Uint8Array<ArrayBuffer>;
  const digest = await crypto.subtle.digest('SHA-256', plain);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** CRC-32 as in zip and PNG. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Compares an artefact's code (its binary, or else its source) with its manifest's checksum. Throws ArtefactError A007 where they differ. */
export async function verifyChecksum(artefact: Artefact): Promise<void> {
  const { manifest, binary, source } = artefact;
  const found = await sha256Hex(binary ?? source);
  if (found !== manifest.checksum)
    throw new ArtefactError(
      'A007',
      `the ${binary ? 'binary' : 'source'} of ${manifest.name} has SHA-256 ${found}, its manifest says ${manifest.checksum}; ` +
        'compile the layer again, or restore the files that were written together',
    );
}
