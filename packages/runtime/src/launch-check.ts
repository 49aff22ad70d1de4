/** What every runtime asks of a launch before its machine sees any of it: that all parts are its own, alive, and of the right size. */
import type { Launch } from '@espalier/artefact';
import type { BufferRange, DeviceBuffer, DeviceLaunch, Program } from './contract.ts';
import { RuntimeError } from './errors.ts';

/** What a device made knows of itself. */
export interface Owned {
  readonly disposed: boolean;
  /** Whether it was made on the device that `owner` stands for. */
  belongsTo(owner: object): boolean;
}

/** A class whose instances a device makes. */
export type MadeBy<T> = abstract new (...parts: never[]) => T;

/** How a device knows its own: its classes, what stands for it in them, and where its buffer ranges may begin. */
export interface Ownership<P extends Program & Owned, B extends DeviceBuffer & Owned> {
  readonly owner: object;
  readonly program: MadeBy<P>;
  readonly buffer: MadeBy<B>;
  /** `Device.alignment`. */
  readonly alignment: number;
}

/** A launch whose parts were found to be the device's own. */
export interface OwnLaunch<P, B> {
  readonly program: P;
  readonly described: Launch;
  /** In the order of the launch's `bindings`. */
  readonly buffers: readonly B[];
}

/** A submission that no correct caller makes. `label` is `DeviceLaunch.label`. */
export const wrongSubmission = (label: string, what: string): RuntimeError =>
  new RuntimeError('R016', `${label}: ${what}; correct the submission`);

/**
 * Checks a launch for the device that `own` describes. Throws RuntimeError R012 (program or buffer disposed of) or R016 (a
 * program or buffer of another device, another number of buffers or dims than the kernel takes, a range that is unaligned
 * or outside its buffer).
 */
export function checkLaunch<P extends Program & Owned, B extends DeviceBuffer & Owned>(
  launch: DeviceLaunch,
  own: Ownership<P, B>,
): OwnLaunch<P, B> {
  const { program, label } = launch;
  if (!(program instanceof own.program) || !program.belongsTo(own.owner))
    throw wrongSubmission(label, 'its program was loaded on another device');
  if (program.disposed) throw new RuntimeError('R012', `${label}: its program was disposed of; load it again`);
  const described = program.manifest.launches[launch.launch];
  if (!described) throw wrongSubmission(label, `${program.manifest.name} has no launch ${launch.launch}`);
  if (described.bindings.length !== launch.buffers.length || described.dims.length !== launch.dims.length)
    throw wrongSubmission(
      label,
      `kernel ${described.kernel} takes ${described.bindings.length} buffers and ${described.dims.length} dims, ` +
        `given are ${launch.buffers.length} and ${launch.dims.length}`,
    );
  const buffers = launch.buffers.map((range, i) =>
    checkRange(range, own, label, described.bindings[i] ?? `buffer ${i}`),
  );
  return { program, described, buffers };
}

/** Checks one range, bound or to be read, of the tensor `name`. Throws as `checkLaunch` does. */
export function checkRange<B extends DeviceBuffer & Owned>(
  { buffer, byteOffset, byteLength }: BufferRange,
  own: Pick<Ownership<never, B>, 'owner' | 'buffer' | 'alignment'>,
  label: string,
  name: string,
): B {
  if (!(buffer instanceof own.buffer) || !buffer.belongsTo(own.owner))
    throw wrongSubmission(label, `the buffer for ${name} is of another device`);
  if (buffer.disposed)
    throw new RuntimeError('R012', `${label}: buffer ${buffer.label} was disposed of; create another`);
  const inside = byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= buffer.byteLength;
  if (byteOffset % own.alignment !== 0 || !inside)
    throw wrongSubmission(
      label,
      `bytes ${byteOffset} to ${byteOffset + byteLength} for ${name} are not an aligned part of buffer ${buffer.label} ` +
        `of ${buffer.byteLength} bytes`,
    );
  return buffer;
}
