/** `espalier compile`: a layer to files that a runtime loads, with a typed module that loads them. */
import { join } from 'node:path';
import { type Artefact, artefactFiles } from '@espalier/artefact';
import { type WrittenFile, writeFiles } from '../files.ts';
import { askedTargets, type CodeFlags, needed, watchOptions } from '../flags.ts';
import { layerToCompile } from '../layer-source.ts';
import { conditionText, sizeText } from '../sizes.ts';
import type { ExitCode, Surroundings } from '../surroundings.ts';
import { statusOn } from '../terminal/status.ts';
import { bytesText, type Style, styleFor, table, wantsColour } from '../terminal/style.ts';
import { type Compiled, watch } from '../watch.ts';

export interface CompileFlags extends CodeFlags {
  readonly out?: string;
  readonly binding: boolean;
  readonly embed?: boolean;
  readonly json?: boolean;
}

interface Written {
  readonly compiled: Compiled;
  readonly files: readonly WrittenFile[];
}

/** Compiles, writes, reports. Everything is compiled before anything is written. */
export async function compileCommand(given: string, flags: CompileFlags, around: Surroundings): Promise<ExitCode> {
  const status = statusOn(around.error);
  try {
    const asked = await askedTargets(flags, around);
    const out = needed(flags.out, '--out', './build');
    const { layer } = await layerToCompile(given, flags, around.cwd);
    const compiled: Compiled[] = [];
    for (const one of asked)
      compiled.push(await watch(layer, one.target, await watchOptions(flags, one, around.cwd, status.show)));
    const written: Written[] = [];
    for (const one of compiled) {
      const folder = asked.length === 1 ? out : join(out, one.target.name);
      status.show(`writing ${folder}`);
      written.push({ compiled: one, files: await writeFiles(folder, await filesOf(one.artefact, flags), around.cwd) });
    }
    status.end();
    around.out.write(
      flags.json === true
        ? `${JSON.stringify({ layer: layer.name, targets: written.map(reportOf) }, null, 2)}\n`
        : written
            .map((one) => textOf(one, styleFor(wantsColour(around.out, around.environment)), around.out.columns ?? 100))
            .join('\n'),
    );
    return 0;
  } finally {
    status.end();
  }
}

async function filesOf(artefact: Artefact, flags: CompileFlags): Promise<ReturnType<typeof artefactFiles>> {
  const files = artefactFiles(artefact);
  if (!flags.binding) return files;
  // It brings TypeScript with it, which takes a moment to load.
  const { generateBinding } = await import('@espalier/codegen/bindings');
  const code = files.find(({ path }) =>
    artefact.binary === undefined ? !path.endsWith('.json') : path.endsWith('.wasm'),
  );
  const beside = flags.embed === true || code === undefined ? {} : { artefactPath: `./${code.path}` };
  const stem = (files[0]?.path ?? '').replace(/\.manifest\.json$/, '');
  return [...files, { path: `${stem}.ts`, content: await generateBinding(artefact, beside) }];
}

function reportOf({ compiled, files }: Written): unknown {
  const { manifest } = compiled.artefact;
  return {
    target: manifest.target,
    files,
    requires: manifest.requires,
    kernels: manifest.launches.map(({ kernel, flops, bytes, grid, scratch, when }, i) => ({
      kernel,
      strategy: compiled.kernels[i]?.strategy,
      statements: compiled.kernels[i]?.statements,
      flops,
      bytes,
      grid,
      scratch,
      when,
      schedule: compiled.kernels[i]?.schedule,
    })),
  };
}

function textOf({ compiled, files }: Written, style: Style, columns: number): string {
  const { manifest } = compiled.artefact;
  const needs = manifest.requires.length > 0 ? `, needs ${manifest.requires.join(', ')}` : '';
  const count = manifest.launches.length;
  const head = `${style.bold(manifest.name)} for ${style.bold(manifest.target)}: ${count} kernel${count === 1 ? '' : 's'}${needs}\n`;
  const kernels = manifest.launches.map(({ kernel, flops, when }, i) => [
    { text: kernel, paint: style.accent },
    { text: `${compiled.kernels[i]?.strategy ?? ''}${conditionText(when)}` },
    { text: `${sizeText(flops)} flop` },
    { text: compiled.kernels[i]?.statements ?? '', paint: style.dim },
  ]);
  const made = files.map(({ path, bytes }) => [
    { text: path },
    { text: bytesText(bytes), right: true, paint: style.dim },
  ]);
  return `${[head.trimEnd(), ...table(kernels, columns), ...table(made, columns)].join('\n')}\n`;
}
