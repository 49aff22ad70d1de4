/** Compiling ahead of time: an artefact that carries its PTX runs on machines that have a driver and no toolkit. */
import { type Artefact, ArtefactError, sha256Hex } from '@espalier/artefact';
import { findNvcc } from './nvcc.ts';

export interface PtxOptions {
  /** Least compute capability, times ten, that it shall run on; newer devices run it too. What the artefact requires unless told. */
  readonly sm?: number;
  /** Path of nvcc; the one on the PATH unless told. */
  readonly nvcc?: string;
}

/** The compute capability, times ten, that an artefact requires: the N of `sm=N`, or 80. */
export const requiredSm = (artefact: Artefact): number => {
  const found = artefact.manifest.requires.map((name) => /^sm=(\d+)/.exec(name)?.[1]).find((sm) => sm !== undefined);
  return found === undefined ? 80 : Number(found);
};

/**
 * The artefact with PTX as its binary, made by nvcc. The manifest's checksum is then that of the PTX, and it requires `sm`.
 * Rejects with ArtefactError A007 (the source is not the one that was compiled), A008 (not CUDA), A010 (nvcc's log), A013 (no nvcc).
 */
export async function withPtx(artefact: Artefact, options: PtxOptions = {}): Promise<Artefact> {
  const { manifest, source } = artefact;
  if (manifest.target !== 'cuda')
    throw new ArtefactError(
      'A008',
      `${manifest.name} was compiled for ${manifest.target}, PTX is made of CUDA C; compile it for cuda`,
    );
  if (!artefact.binary && (await sha256Hex(source)) !== manifest.checksum)
    throw new ArtefactError(
      'A007',
      `the source of ${manifest.name} was changed after it was compiled; compile it again`,
    );
  const sm = options.sm ?? requiredSm(artefact);
  const nvcc = await findNvcc(options.nvcc);
  if ('reason' in nvcc)
    throw new ArtefactError('A013', `no PTX can be made of ${manifest.name}: ${nvcc.reason}; install the CUDA toolkit`);
  const { bytes } = await nvcc.ptx({ source, name: manifest.name, sm });
  const requires = [...manifest.requires.filter((name) => !name.startsWith('sm=')), `sm=${sm}`];
  return { manifest: { ...manifest, requires, checksum: await sha256Hex(bytes) }, source, binary: bytes };
}
