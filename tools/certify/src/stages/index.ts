/** The stages of a certification, in order, with the longest each may take. */
import { bench } from './bench.ts';
import { conformance } from './conformance.ts';
import { models } from './models.ts';
import type { Stage } from './stage.ts';

export const stages: Readonly<Record<string, { readonly run: Stage; readonly minutes: number }>> = {
  conformance: { run: conformance, minutes: 30 },
  models: { run: models, minutes: 30 },
  bench: { run: bench, minutes: 20 },
};
