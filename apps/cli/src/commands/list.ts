/** `espalier targets` and `espalier layers`: what there is to choose from. */
import { type Capabilities, stageNames, type Target } from '@espalier/codegen';
import { parseModule, standardLayerNames, standardSource } from '@espalier/ir';
import { findLayer } from '../layer-source.ts';
import { firstSentence, layersIn, openingComment, type Parameters, parametersOf, signatureOf } from '../parameters.ts';
import type { ExitCode, Surroundings } from '../surroundings.ts';
import { targets } from '../targets.ts';
import { highlight } from '../terminal/highlight.ts';
import { styleFor, wantsColour, wrap } from '../terminal/style.ts';

export interface ListFlags {
  readonly json?: boolean;
}

/** Targets with their capabilities, defaults and passes. */
export function targetsCommand(flags: ListFlags, around: Surroundings): ExitCode {
  const style = styleFor(wantsColour(around.out, around.environment));
  const facts = Object.entries(targets).map(([name, { target, says }]) => ({ name, says, ...factsOf(target) }));
  if (flags.json === true) {
    around.out.write(`${JSON.stringify(facts, null, 2)}\n`);
    return 0;
  }
  const width = Math.min(around.out.columns ?? 100, 100);
  const text = facts.map(({ name, says, files, capabilities, passes }) =>
    [
      `${style.bold(name)}  ${says}`,
      `  writes        ${files.join(', ')}`,
      ...labelled(
        'capabilities',
        Object.entries(capabilities)
          .map(([key, value]) => `${key}=${value}`)
          .join(', ') || 'none',
        width,
      ),
      ...labelled('passes', passes.join(', '), width),
    ].join('\n'),
  );
  around.out.write(`${text.join('\n\n')}\n\n`);
  around.out.write(
    `${style.dim('Capabilities are set with --capability NAME=VALUE. A target of your own: --target ./file.ts#name.')}\n`,
  );
  return 0;
}

const labelled = (label: string, text: string, width: number): readonly string[] =>
  wrap(text, width, ' '.repeat(16)).map((line, i) => (i === 0 ? `  ${label.padEnd(14)}${line.trimStart()}` : line));

const factsOf = (
  target: Target,
): { readonly files: readonly string[]; readonly capabilities: Capabilities; readonly passes: readonly string[] } => ({
  files: [target.extension, ...(target.assemble === null ? [] : ['wasm']), 'manifest.json', 'ts'].map(
    (end) => `.${end}`,
  ),
  capabilities: target.defaults,
  passes: stageNames(target),
});

interface LayerFacts extends Parameters {
  readonly says: string;
}

const libraryFacts = (): readonly LayerFacts[] =>
  standardLayerNames.flatMap((name) => {
    const text = standardSource(name);
    const [layer] = layersIn(parseModule(text, name));
    return layer === undefined ? [] : [{ ...parametersOf(layer), says: openingComment(text) }];
  });

/** The standard library: each layer with its parameters and what it says of itself; of one layer, its text. */
export async function layersCommand(
  name: string | undefined,
  flags: ListFlags,
  around: Surroundings,
): Promise<ExitCode> {
  const style = styleFor(wantsColour(around.out, around.environment));
  if (name !== undefined) {
    const found = await findLayer(name, undefined, around.cwd);
    around.out.write(
      flags.json === true
        ? `${JSON.stringify({ ...found.parameters, text: found.text }, null, 2)}\n`
        : highlight(found.text, 'layer', style),
    );
    return 0;
  }
  const facts = libraryFacts();
  if (flags.json === true) around.out.write(`${JSON.stringify(facts, null, 2)}\n`);
  else {
    const width = Math.min(around.out.columns ?? 100, 100);
    for (const one of facts) {
      const signature = signatureOf(one);
      around.out.write(`${style.bold(one.name)}${style.dim(signature.slice(one.name.length))}\n`);
      around.out.write(`${wrap(firstSentence(one.says), width, '  ').join('\n')}\n`);
    }
    around.out.write(`\n${style.dim('`espalier layers NAME` shows the text of one.')}\n`);
  }
  return 0;
}
