/** What the machine is, for the head of a report and for the key of a tuning. */
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { blasInUse } from './baselines/native/dense.ts';
import { ceilings } from './baselines/native.ts';
import type { Machine } from './results.ts';

/** Which processor this is: its name, and on Linux family and model. Two processors of different families may both be an "AMD EPYC". */
export function processor(): { readonly cpu: string; readonly family?: string } {
  const cpu = cpus()[0]?.model.trim() ?? 'unknown';
  let text: string;
  try {
    text = readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return { cpu };
  }
  const [family, model] = ['cpu family', 'model'].map((key) => new RegExp(`^${key}\\s*: (\\d+)$`, 'm').exec(text)?.[1]);
  return family === undefined || model === undefined ? { cpu } : { cpu, family: `family ${family}, model ${model}` };
}

/** Bytes of a core's second cache; where the system doesn't tell, 512 KB, which few have less than. */
export function secondCache(): number {
  try {
    const text = readFileSync('/sys/devices/system/cpu/cpu0/cache/index2/size', 'utf8');
    return 1024 * Number(/^(\d+)K/.exec(text)?.[1] ?? 512);
  } catch {
    return 512 * 1024;
  }
}

/** What a tuning holds for, beside the shape: the processor and the engine's compiler, "V8 13.6". */
export interface MachineKey {
  readonly cpu: string;
  readonly family?: string;
  readonly engine: string;
}

export const machineKey = (): MachineKey => ({
  ...processor(),
  engine: `V8 ${process.versions.v8.split('.').slice(0, 2).join('.')}`,
});

export const sameMachine = (a: MachineKey, b: MachineKey): boolean =>
  a.cpu === b.cpu && a.family === b.family && a.engine === b.engine;

/** "AMD EPYC (family 26, model 2), V8 13.6". */
export const keyText = ({ cpu, family, engine }: MachineKey): string =>
  `${cpu}${family === undefined ? '' : ` (${family})`}, ${engine}`;

/** Measures the ceilings, which takes a second or two the first time. */
export function describeMachine(): Machine {
  const [found, blas] = [ceilings(), blasInUse()];
  return {
    date: new Date().toISOString().slice(0, 10),
    ...processor(),
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    ...(blas === null ? {} : { blas }),
    ...('reason' in found ? {} : { ceilings: found }),
  };
}
