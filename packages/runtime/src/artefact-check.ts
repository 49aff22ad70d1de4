/** What every runtime asks of an artefact before it looks at its code. */
import { ArtefactError, checkManifest, type Manifest } from '@espalier/artefact';

/**
 * Throws ArtefactError A008 (compiled for another target), A002 (a manifest of another version) or A003 (no manifest) unless a device
 * that runs artefacts of `target` can read the manifest. `way` is how to get one that it can.
 */
export function checkCompiledFor(target: string, manifest: Manifest, way = `compile it for ${target}`): void {
  if (manifest.target !== target)
    throw new ArtefactError(
      'A008',
      `${manifest.name} was compiled for ${manifest.target}, this device runs ${target}; ${way}`,
    );
  checkManifest(manifest);
}
