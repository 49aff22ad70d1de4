/** The stages of a certification, in order, with the longest each may take. */
import type { CertifyOptions } from '../options.ts';
import { type Environment, vulkanEnvironments } from '../webgpu/environment.ts';
import { bench } from './bench.ts';
import { conformance } from './conformance.ts';
import { models } from './models.ts';
import type { Stage } from './stage.ts';
import { ADAPTER, webgpu } from './webgpu.ts';

/** A stage, and how it is to be run. */
export interface StageEntry {
  readonly run: Stage;
  readonly minutes: number;
  /**
   * For what a machine may well lack: the stage is tried in one environment after another until its check `needs` passes. Where it
   * never does, however the attempts ended, the stage is skipped.
   */
  readonly optional?: {
    readonly needs: string;
    readonly environments: (options: CertifyOptions, scratch: string) => readonly Environment[];
  };
}

export const stages: Readonly<Record<string, StageEntry>> = {
  conformance: { run: conformance, minutes: 30 },
  models: { run: models, minutes: 30 },
  bench: { run: bench, minutes: 20 },
  webgpu: {
    run: webgpu,
    minutes: 10,
    optional: {
      needs: ADAPTER,
      environments: ({ root, vulkanIcd }, scratch) =>
        vulkanEnvironments({
          root,
          scratch,
          variables: process.env,
          ...(vulkanIcd === undefined ? {} : { icd: vulkanIcd }),
        }),
    },
  },
};
