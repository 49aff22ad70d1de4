/**
 * A compiled graph as one self-contained file: magic "ESPALIER", format version, CRC-32 of all that follows, length of
 * the JSON, JSON, then the binaries back to back. Numbers are little-endian u32. JSON keys are sorted, so equal graphs
 * give equal bytes whatever built them.
 */
import { crc32 } from './checksum.ts';
import { ArtefactError } from './errors.ts';
import type { CompiledGraph } from './graph.ts';
import type { Artefact } from './manifest.ts';
import { checkManifest, fields, integer, list, oneOf, parseJson, size, table, text } from './validate.ts';

const MAGIC = 'ESPALIER';
const FORMAT_VERSION = 1;
const HEADER_BYTES = MAGIC.length + 12;

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => [k, sorted(v)]));
};

/** The file of a graph: everything but the weights. */
export function encodeGraph(compiled: CompiledGraph): Uint8Array<ArrayBuffer> {
  const binaries: Uint8Array[] = [];
  let offset = 0;
  const artefacts = compiled.artefacts.map(({ manifest, source, binary }) => {
    if (!binary) return { manifest, source };
    const place = { offset, length: binary.length };
    binaries.push(binary);
    offset += binary.length;
    return { manifest, source, binary: place };
  });
  const json = new TextEncoder().encode(JSON.stringify(sorted({ ...compiled, artefacts })));
  const bytes = new Uint8Array(HEADER_BYTES + json.length + offset);
  const header = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC), 0);
  header.setUint32(MAGIC.length, FORMAT_VERSION, true);
  header.setUint32(MAGIC.length + 8, json.length, true);
  bytes.set(json, HEADER_BYTES);
  let at = HEADER_BYTES + json.length;
  for (const binary of binaries) {
    bytes.set(binary, at);
    at += binary.length;
  }
  header.setUint32(MAGIC.length + 4, crc32(bytes.subarray(MAGIC.length + 8)), true);
  return bytes;
}

const graphShape = fields({
  name: text,
  target: text,
  dims: list(text),
  tensors: list(fields({ name: text, storage: oneOf('f32', 'i32'), shape: list(size) })),
  inputs: list(text),
  outputs: list(text),
  steps: list(
    fields({ id: text, artefact: integer(0), dims: table(size), tensors: table(text), weights: table(text) }),
  ),
  artefacts: list(fields({ source: text })),
});

/**
 * Reads what `encodeGraph` wrote. The binaries are copies, so `bytes` may be let go. Throws ArtefactError A005 (no graph
 * file, cut short, unknown version), A006 (bytes changed), A001 to A003 (JSON inside).
 */
export function decodeGraph(bytes: Uint8Array): CompiledGraph {
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || new TextDecoder().decode(bytes.slice(0, MAGIC.length)) !== MAGIC)
    throw new ArtefactError('A005', 'this is not a compiled graph; it must be a file that encodeGraph wrote');
  const version = header.getUint32(MAGIC.length, true);
  if (version !== FORMAT_VERSION)
    throw new ArtefactError(
      'A005',
      `graph file of format ${version}, this runtime reads format ${FORMAT_VERSION}; use compiler and runtime of one release`,
    );
  const jsonLength = header.getUint32(MAGIC.length + 8, true);
  if (HEADER_BYTES + jsonLength > bytes.length)
    throw new ArtefactError('A005', `the graph file is cut short at ${bytes.length} bytes; fetch it again`);
  if (crc32(bytes.subarray(MAGIC.length + 8)) !== header.getUint32(MAGIC.length + 4, true))
    throw new ArtefactError('A006', 'the graph file was cut short or changed after it was written; fetch it again');
  const json = new TextDecoder().decode(bytes.slice(HEADER_BYTES, HEADER_BYTES + jsonLength));
  const value = parseJson(json, 'the graph');
  graphShape(value, '');
  const graph = value as CompiledGraph;
  const artefacts = graph.artefacts.map((entry, i): Artefact => {
    const manifest = checkManifest(entry.manifest);
    const place: unknown = entry.binary;
    if (place === undefined) return { manifest, source: entry.source };
    fields({ offset: integer(0), length: integer(0) })(place, `artefacts[${i}].binary`);
    const { offset, length } = place as { readonly offset: number; readonly length: number };
    const start = HEADER_BYTES + jsonLength + offset;
    if (start + length > bytes.length)
      throw new ArtefactError('A005', `the binary of ${manifest.name} lies outside the graph file; fetch it again`);
    // A Node Buffer's own slice would not copy.
    return { manifest, source: entry.source, binary: new Uint8Array(bytes.subarray(start, start + length)) };
  });
  for (const step of graph.steps)
    if (step.artefact >= artefacts.length)
      throw new ArtefactError('A003', `step ${step.id} names artefact ${step.artefact} of ${artefacts.length}`);
  return { ...graph, artefacts };
}
