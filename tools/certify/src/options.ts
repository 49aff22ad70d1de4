/** The command line of `certify`. */
import type { CudaOptions } from '@espalier/runtime-cuda';
import { stages } from './stages/index.ts';

export interface CertifyOptions {
  /** File to write the report to. */
  readonly output: string;
  readonly stages: readonly string[];
  readonly device: CudaOptions;
  readonly quick: boolean;
  readonly root: string;
  /** Description of the Vulkan driver (ICD) for the stage `webgpu`; looked for unless told. */
  readonly vulkanIcd?: string;
  /** The one stage to run in this process, for its parent. */
  readonly stage?: string;
}

export const HELP = `usage: ./certify [options]

Runs conformance, the bundled models and timings on a CUDA device, and WebGPU where Vulkan has an adapter; writes one JSON file.

  --output FILE    where to write the report (certification.json)
  --device N       which device (0)
  --only STAGES    ${Object.keys(stages).join(', ')}, separated by commas (all)
  --quick          a few checks of each stage, to see that everything is in place
  --library PATH   the CUDA driver library
  --vulkan-icd FILE  the Vulkan driver's JSON file, for the stage webgpu (looked for in the usual places)
  --help

exit code  0 certified   1 something failed   2 wrong usage   3 no CUDA device here; the report says why
`;

/** A command line that cannot be followed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Reads the arguments; undefined when help was asked for. Throws UsageError. */
export function parseOptions(args: readonly string[], root: string): CertifyOptions | undefined {
  let options: CertifyOptions = {
    output: 'certification.json',
    stages: Object.keys(stages),
    device: {},
    quick: false,
    root,
  };
  const rest = [...args];
  const value = (name: string): string => {
    const given = rest.shift();
    if (given === undefined) throw new UsageError(`${name} needs a value`);
    return given;
  };
  const stage = (name: string): string => {
    if (!(name in stages))
      throw new UsageError(`there is no stage "${name}"; stages are ${Object.keys(stages).join(', ')}`);
    return name;
  };
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    switch (name) {
      case '--help':
        return undefined;
      case '--quick':
        options = { ...options, quick: true };
        break;
      case '--output':
        options = { ...options, output: value(name) };
        break;
      case '--only':
        options = { ...options, stages: value(name).split(',').map(stage) };
        break;
      case '--stage':
        options = { ...options, stage: stage(value(name)) };
        break;
      case '--vulkan-icd':
        options = { ...options, vulkanIcd: value(name) };
        break;
      case '--library':
        options = { ...options, device: { ...options.device, library: value(name) } };
        break;
      case '--device': {
        const given = value(name);
        if (!/^\d+$/.test(given)) throw new UsageError(`--device takes a number, not "${given}"`);
        options = { ...options, device: { ...options.device, ordinal: Number(given) } };
        break;
      }
      default:
        throw new UsageError(`there is no option ${name}`);
    }
  }
  return options;
}
