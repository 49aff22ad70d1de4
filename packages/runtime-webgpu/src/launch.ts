/** A launch with its resources: checked against its program and the device's limits before WebGPU sees any of it. */
import type { Launch } from '@espalier/artefact';
import { checkLaunch as checkOwnership, type DeviceLaunch, RuntimeError, wrongSubmission } from '@espalier/runtime';
import { WebGpuBuffer } from './buffer.ts';
import { roundUp } from './gpu.ts';
import { type Host, overLimit } from './host.ts';
import { bindingNames, boundAlone, hasScratch } from './interface.ts';
import { type Kernel, WebGpuProgram } from './program.ts';

/** A part of a buffer as it is bound. */
export interface BoundRange {
  readonly buffer: WebGpuBuffer;
  readonly offset: number;
  /** A multiple of 4, more than 0. */
  readonly size: number;
}

export interface CheckedLaunch {
  readonly launch: DeviceLaunch;
  readonly described: Launch;
  readonly program: WebGpuProgram;
  readonly kernel: Kernel;
  /** What is bound as it is. */
  readonly ranges: readonly BoundRange[];
  /** What is copied into one buffer before the launch, in this order. */
  readonly joined: readonly BoundRange[];
  /** Workgroups in x and y. */
  readonly grid: readonly [number, number];
  /** Bytes of the scratch buffer of all workgroups; undefined where the kernel takes none. */
  readonly scratch: number | undefined;
}

/** Throws RuntimeError R012, R016 or R025. */
export function checkLaunch(host: Host, launch: DeviceLaunch): CheckedLaunch {
  const { label } = launch;
  const own = {
    owner: host,
    program: WebGpuProgram,
    buffer: WebGpuBuffer,
    alignment: host.gpu.limits.minStorageBufferOffsetAlignment,
  };
  const { program, described, buffers } = checkOwnership(launch, own);
  const kernel = program.kernel(described);
  const all = new Map(
    described.bindings.map((name, i) => [name, boundRange(host, launch, name, buffers[i] as WebGpuBuffer, i)]),
  );
  const among = (names: readonly string[]): readonly BoundRange[] => names.flatMap((name) => all.get(name) ?? []);
  const ranges = among(boundAlone(described));
  const joined = among(described.joined ?? []);
  checkAliases(launch, described, kernel, ranges);
  const scratch = hasScratch(described) ? launch.scratch * launch.grid : undefined;
  const { maxStorageBufferBindingSize: most } = host.gpu.limits;
  if (scratch !== undefined && scratch > most)
    throw overLimit(
      `${label}: the scratch of ${launch.grid} workgroups of kernel ${described.kernel}`,
      scratch,
      'maxStorageBufferBindingSize',
      most,
      'run fewer rows at once',
    );
  const together = joined.reduce((bytes, { size }) => bytes + roundUp(size, 16), 0);
  if (together > most)
    throw overLimit(
      `${label}: ${described.joined?.join(', ')}, which kernel ${described.kernel} reads from one buffer,`,
      together,
      'maxStorageBufferBindingSize',
      most,
      'use smaller weights, or compile with the capability "storage-buffers" where the device has more of them',
    );
  return { launch, described, program, kernel, ranges, joined, grid: gridOf(host, launch), scratch };
}

/** Workgroups in two dimensions, where there are more than one holds. Kernels leave where the product is past their grid. */
function gridOf(host: Host, { label, grid }: DeviceLaunch): readonly [number, number] {
  const most = host.gpu.limits.maxComputeWorkgroupsPerDimension;
  const y = Math.max(1, Math.ceil(grid / most));
  // Workgroups past the grid, less than a row of them, have numbers that 32 bits must hold, too.
  const mostInAll = Math.min(most * most, 2 ** 31 - most);
  if (grid > mostInAll)
    throw new RuntimeError(
      'R025',
      `${label}: a grid of ${grid} workgroups, this device runs ${mostInAll} (maxComputeWorkgroupsPerDimension ` +
        `is ${most}, in two dimensions); run fewer rows at once`,
    );
  return [Math.ceil(grid / y), y];
}

function boundRange(host: Host, launch: DeviceLaunch, name: string, buffer: WebGpuBuffer, i: number): BoundRange {
  const { byteOffset, byteLength } = launch.buffers[i] as DeviceLaunch['buffers'][number];
  const { label } = launch;
  const { maxStorageBufferBindingSize: most } = host.gpu.limits;
  // A kernel must have something to bind, if only to leave it alone: 16 bytes are enough for any element.
  const left = buffer.gpuBuffer.size - byteOffset;
  const size = Math.max(roundUp(byteLength, 4), Math.min(16, left));
  if (size <= 0)
    throw wrongSubmission(label, `${name} begins at the end of buffer ${buffer.label}, where nothing is left to bind`);
  if (size > most)
    throw overLimit(
      `${label}: ${name}, bound by kernel ${launch.program.manifest.launches[launch.launch]?.kernel},`,
      size,
      'maxStorageBufferBindingSize',
      most,
      'run fewer rows at once, or use smaller weights',
    );
  return { buffer, offset: byteOffset, size };
}

/** WebGPU's rule: in one dispatch a buffer is read, or it is written and no byte of it bound twice. */
function checkAliases(launch: DeviceLaunch, described: Launch, kernel: Kernel, ranges: readonly BoundRange[]): void {
  const names = bindingNames(described);
  for (const [i, a] of ranges.entries())
    for (const [j, b] of ranges.slice(0, i).entries()) {
      const written = [kernel.bindings[i], kernel.bindings[j]].filter((kind) => kind === 'read_write').length;
      if (a.buffer !== b.buffer || written === 0) continue;
      const apart = a.offset >= b.offset + b.size || b.offset >= a.offset + a.size;
      if (written === 2 && apart) continue;
      throw new RuntimeError(
        'R016',
        `${launch.label}: ${names[j]} and ${names[i]} lie in one buffer, ${a.buffer.label}, and kernel ${described.kernel} ` +
          `${written === 2 ? 'writes both' : 'reads one and writes the other'}, which WebGPU forbids; give them buffers of their own ` +
          "(graphs do, where the device's info.placement is 'separate')",
      );
    }
}
