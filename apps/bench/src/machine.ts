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
