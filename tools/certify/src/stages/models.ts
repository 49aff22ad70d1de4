/** The bundled models, and small models recorded from their original programs, by the validator: every layer, every route. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type OpenTarget, type TargetFamily, validate } from '@espalier/app-validate';
import type { Artefact } from '@espalier/artefact';
import { compileGraph, cuda } from '@espalier/codegen';
import type { Device } from '@espalier/runtime';
import { openCuda } from '@espalier/runtime-cuda';
import { withKernels } from '../kernels.ts';
import type { Figures } from '../report.ts';
import { attempt, type Stage } from './stage.ts';

/** Checkpoints of a bundle: the models, then the golden ones. */
export const checkpointsOf = (root: string): readonly string[] =>
  ['models', 'golden']
    .map((name) => join(root, name))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((folder) => existsSync(join(folder, 'config.json')));

const noOnnx = async () => ({ available: false, reason: 'ONNX Runtime is not part of the bundle' }) as const;

/** A target of the validator around `open`, which also sees every graph that is compiled. */
function family(open: () => Promise<Device>, seen: (artefact: Artefact) => void = () => undefined): TargetFamily {
  return {
    name: 'cuda',
    known: ['cuda'],
    defaults: () => ['cuda'],
    open: async (spec): Promise<OpenTarget> => {
      const device = await open();
      return {
        spec,
        device,
        threads: 1,
        compileKey: 'cuda',
        capabilities: {},
        compile: async (graph) => {
          const compiled = await compileGraph(graph, { target: cuda });
          for (const artefact of compiled.artefacts) seen(artefact);
          return compiled;
        },
        [Symbol.dispose]: () => device[Symbol.dispose](),
      };
    },
  };
}

/** Validates a checkpoint on one target; resolves to what was checked and how long it took by the clock. Rejects where it departs. */
export async function validateOn(
  checkpoint: string,
  target: string,
  families: readonly TargetFamily[],
  timing: boolean,
): Promise<Figures> {
  const report = await validate({ checkpoints: [checkpoint], targets: [target], families, onnx: noOnnx, timing });
  const taken = report.checkpoints[0]?.timing;
  const [time] = taken?.targets ?? [];
  if (!report.agrees) {
    const runs = report.checkpoints.flatMap((c) => c.cases.flatMap((one) => one.runs));
    const problems = runs.flatMap((run) => (run.agrees ? [] : [run.error ?? run.first?.message ?? 'departs']));
    throw new Error(problems.slice(0, 3).join('; '));
  }
  const { cases, checks, walks, flipsWithin } = report.totals;
  return {
    ...{ cases, checks, walks, flipsWithin },
    ...(time && taken
      ? { tokens: taken.tokens, loadByClock: time.load, firstByClock: time.first, warmByClock: time.warm }
      : {}),
  };
}

/** "models/tiny-bert". */
export const nameOfCheckpoint = (checkpoint: string): string => checkpoint.split(/[\\/]/).slice(-2).join('/');

/** Validates each checkpoint; each is a check, with how long the first and a later run took by the clock. */
export const models: Stage = async (context) => {
  const all = checkpointsOf(context.root);
  const tally = { shipped: 0, compiled: 0 };
  const open = async () => withKernels(await openCuda(context.device), join(context.root, 'kernels'), tally);
  for (const checkpoint of context.quick ? all.slice(-1) : all)
    await attempt(context, nameOfCheckpoint(checkpoint), () =>
      validateOn(checkpoint, 'cuda', [family(open)], !context.quick),
    );
  context.report({ name: 'kernels', outcome: 'passed', figures: { ...tally } });
};

/** Every artefact that validating the checkpoints compiles, for compiling beforehand. Nothing runs. */
export async function modelArtefacts(root: string): Promise<readonly Artefact[]> {
  const found = new Map<string, Artefact>();
  const refuse = (): never => {
    throw new Error('nothing is run here, only compiled');
  };
  const nowhere: Device = {
    info: { target: 'cuda', name: 'nowhere', capabilities: {} },
    alignment: 256,
    createBuffer: refuse,
    load: async () => refuse(),
    prepare: refuse,
    [Symbol.dispose]: () => undefined,
  };
  for (const checkpoint of checkpointsOf(root))
    await validate({
      checkpoints: [checkpoint],
      targets: ['cuda'],
      families: [
        family(
          async () => nowhere,
          (artefact) => found.set(artefact.manifest.checksum, artefact),
        ),
      ],
      onnx: noOnnx,
      timing: false,
    });
  return [...found.values()];
}
