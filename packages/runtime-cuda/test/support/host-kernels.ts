/**
 * Printed CUDA C as the image of a module of the fake driver: compiled by the host check, with a line for each launch that says
 * how many pointers and dims it takes. So a whole run of the runtime computes with the compiler's own kernels.
 */
import { type Artefact, sha256Hex } from '@espalier/artefact';
import { compileForHost } from '../../src/host/compile.ts';

/** The artefact with that image as its binary. `folder` receives the library. */
export async function withHostKernels(artefact: Artefact, folder: string): Promise<Artefact> {
  const { manifest } = artefact;
  const library = await compileForHost('g++', artefact, folder);
  const lines = manifest.launches.map(({ kernel, bindings, scratch, checks, dims }) => {
    const pointers = bindings.length + (scratch === 0 ? 0 : 1) + (checks === true ? 1 : 0);
    return `${kernel} ${pointers} ${dims.length}`;
  });
  const binary = new TextEncoder().encode([`HOST-MODULE ${library}`, ...lines, ''].join('\n'));
  return { ...artefact, manifest: { ...manifest, checksum: await sha256Hex(binary) }, binary };
}
