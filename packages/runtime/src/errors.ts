/** The errors of running: each has a stable code for programs, names the tensor or step, and ends with a way out. */
import type { Fault } from '@espalier/artefact';

export { ArtefactError, type ArtefactErrorCode } from '@espalier/artefact';

/** Every code with the situation it stands for. A code never changes its meaning. */
export const runtimeErrorCodes = {
  R001: 'an input is missing',
  R002: 'an input of an unknown name',
  R003: 'an input of the wrong element type',
  R004: 'an input of the wrong shape or number of elements',
  R005: 'two inputs disagree about a dim',
  R006: 'a dim that nothing determines',
  R007: 'a value for an unknown dim, or one that is no size',
  R008: 'a weight is missing',
  R009: 'a weight of an unknown name',
  R010: 'a weight of the wrong element type',
  R011: 'a weight of the wrong shape or number of elements',
  R012: 'used after it was disposed of',
  R013: 'a run started before the last one ended',
  R014: 'a graph whose steps do not fit together',
  R015: 'a tensor to keep that the graph does not have',
  R016: 'a launch whose buffers, ranges or program do not fit its kernel or device',
  R020: 'out of memory',
  R021: 'a kernel trapped',
  R022: 'the device is lost: a worker thread died, or a GPU went away',
  R023: 'an unknown target or device option',
  R024: 'a worker thread does not start',
  R025: 'a buffer, binding or grid larger than the device allows, or a tensor of more elements than kernels can number',
  R026: 'no such device here: no driver, no adapter, or a package that is not installed',
  R027: 'the device reports an error of its own',
  R028: 'a device that cannot run at once on the calling thread, or whose memory the host cannot address',
  R029: 'views of memory that has moved since they were taken',
  R030: 'a kernel that is wrong: the simulator watched it read, write or synchronise as no kernel may',
  R031: 'a weight that holds infinities or NaN, taken by kernels that cannot read them',
} as const;

export type RuntimeErrorCode = keyof typeof runtimeErrorCodes;

/** What went wrong with a run or its preparation. The message starts with the code and ends with a way out. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  readonly code: RuntimeErrorCode;

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options);
    this.code = code;
  }
}

/** A check inside a kernel failed, such as an index outside its table. The outputs of that run are undefined. */
export class FaultError extends Error {
  override readonly name = 'FaultError';
  readonly code = 'F001';
  /** Where in the graph: "layers.0.ffn". */
  readonly label: string;
  /** Place in the layer's source: "linear.layer:3:21". */
  readonly place: string;
  /** What the check found, as the compiler put it. */
  readonly fault: string;

  constructor(label: string, fault: Fault) {
    super(
      `F001: ${label}: ${fault.message} (${fault.place}); the outputs of this run are undefined, correct the input and run again`,
    );
    this.label = label;
    this.place = fault.place;
    this.fault = fault.message;
  }
}

/** The fault that status code `code` of a launch stands for; a code that the manifest lacks is said to be that. */
export const faultOf = (faults: readonly Fault[], code: number): Fault =>
  faults[code - 1] ?? { message: `check ${code} failed, of which the manifest says nothing`, place: 'place unknown' };
