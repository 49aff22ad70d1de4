/** The one error that reading, checking or loading an artefact may end in, with a stable code for programs and a way out for people. */

/** Every code with the situation it stands for. A code never changes its meaning. */
export const artefactErrorCodes = {
  A001: 'the text of a manifest or graph is not JSON',
  A002: 'manifest of a version that this runtime does not know',
  A003: 'a field of a manifest or graph is missing or of the wrong shape',
  A004: 'a file of a saved artefact is missing',
  A005: 'not a graph file, cut short, or of an unknown version',
  A006: 'a graph file or a manifest was changed after it was written',
  A007: 'the code does not match the checksum in the manifest',
  A008: 'the artefact is for another target',
  A009: 'the artefact needs a capability that the device lacks',
  A010: 'the engine refuses the code',
  A011: 'the binary does not import memory as this runtime provides it',
  A012: 'SHA-256 is not available here',
  A013: 'the artefact has no binary',
} as const;

export type ArtefactErrorCode = keyof typeof artefactErrorCodes;

/** What is wrong with an artefact. The message starts with the code and ends with a way out. */
export class ArtefactError extends Error {
  override readonly name = 'ArtefactError';
  readonly code: ArtefactErrorCode;

  constructor(code: ArtefactErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }
}
