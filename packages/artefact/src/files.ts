/**
 * A saved artefact: `NAME.manifest.json`, `NAME.wasm` or `NAME.ptx` (where the target has a binary) and the source in the target's
 * own language. Only names and contents are made here; writing them is the caller's, since a browser has no files. The manifest's file
 * ends in a field `crc`, the CRC-32 of the others, so that no number in it is changed by hand unnoticed; files without it are taken too.
 */
import { crc32 } from './checksum.ts';
import { ArtefactError } from './errors.ts';
import type { Artefact, Manifest } from './manifest.ts';
import { checkManifest, parseJson } from './validate.ts';

/** One file: a relative path without folders, and its content. */
export interface ArtefactFile {
  readonly path: string;
  readonly content: string | Uint8Array;
}

const sourceExtension: Readonly<Record<string, string>> = {
  wasm: 'wat',
  wgsl: 'wgsl',
  webgpu: 'wgsl',
  cuda: 'cu',
};

const binaryExtension: Readonly<Record<string, string>> = { wasm: 'wasm', cuda: 'ptx' };

const familyOf = ({ target }: Manifest): string => target.split(/[^A-Za-z0-9]/)[0] ?? '';
const binaryOf = (manifest: Manifest): string => binaryExtension[familyOf(manifest)] ?? 'wasm';

const fileStem = (name: string): string => name.replace(/[^A-Za-z0-9._-]/g, '-');

/** The files to save of an artefact, in a fixed order, the same bytes for the same artefact. */
export function artefactFiles(artefact: Artefact): readonly ArtefactFile[] {
  const { manifest, source, binary } = artefact;
  const stem = fileStem(manifest.name);
  const files: ArtefactFile[] = [
    {
      path: `${stem}.manifest.json`,
      content: `${JSON.stringify({ ...manifest, crc: crcOf(manifest) }, null, 2)}\n`,
    },
    { path: `${stem}.${sourceExtension[familyOf(manifest)] ?? 'txt'}`, content: source },
  ];
  if (binary) files.splice(1, 0, { path: `${stem}.${binaryOf(manifest)}`, content: binary });
  return files;
}

const crcOf = (manifest: Manifest): number => crc32(new TextEncoder().encode(JSON.stringify(manifest)));

/** Reads a saved manifest. Throws ArtefactError A001 (not JSON), A002 (version), A003 (shape) or A006 (changed). */
export function parseManifest(json: string): Manifest {
  const saved: Manifest & { readonly crc?: number } = checkManifest(parseJson(json, 'the manifest'));
  const { crc, ...manifest } = saved;
  if (crc !== undefined && crc !== crcOf(manifest))
    throw new ArtefactError(
      'A006',
      `the manifest of ${manifest.name} was changed after it was written; compile the layer again`,
    );
  return manifest;
}

/**
 * An artefact from its files; paths may have folders, other files are ignored. A lost source is no obstacle where a binary
 * exists. Throws ArtefactError A004 when a needed file is missing, and whatever `parseManifest` throws. Checksums are compared
 * by the runtime, when it loads the artefact.
 */
export function artefactFromFiles(files: Iterable<ArtefactFile>): Artefact {
  const all = [...files];
  const ending = (suffix: string): ArtefactFile | undefined => all.find((file) => file.path.endsWith(suffix));
  const asText = (file: ArtefactFile): string =>
    typeof file.content === 'string' ? file.content : new TextDecoder().decode(file.content);
  const manifestFile = ending('.manifest.json');
  if (!manifestFile)
    throw new ArtefactError('A004', 'no file ends in .manifest.json; give all files that were saved together');
  const manifest = parseManifest(asText(manifestFile));
  const stem = manifestFile.path.slice(0, -'.manifest.json'.length);
  const binaryPath = `${stem}.${binaryOf(manifest)}`;
  const binary = all.find((file) => file.path === binaryPath)?.content;
  const source = all.find((file) => file.path.startsWith(`${stem}.`) && /\.(wat|wgsl|cu|txt)$/.test(file.path));
  if (typeof binary === 'string')
    throw new ArtefactError('A004', `${binaryPath} was read as text; read it as bytes instead`);
  if (!binary && !source)
    throw new ArtefactError('A004', `neither ${binaryPath} nor a source file lies beside ${manifestFile.path}`);
  return { manifest, source: source ? asText(source) : '', ...(binary ? { binary } : {}) };
}
