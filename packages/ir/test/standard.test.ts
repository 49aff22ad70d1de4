/** The standard library: every layer is sound generically and bound, and the embedded texts are the files. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { embeddedLayers, frozenLayers } from '../scripts/embed-layers.ts';
import {
  checkModule,
  DiagnosticError,
  dumpLayerIR,
  parseModule,
  standardLayer,
  standardLayerNames,
  standardSource,
} from '../src/index.ts';
import { freeze, thaw } from '../src/standard/frozen.ts';

const sizes: Readonly<Record<string, number>> = {
  D: 6,
  H: 5,
  O: 3,
  trees: 2,
  depth: 2,
  W: 3,
  M: 4,
  heads: 2,
  width: 4,
  V: 11,
  P: 7,
  K: 2,
  C: 3,
  E: 4,
};

/** Sizes for the dims that are not of the run. */
function dimsFor(name: string): Readonly<Record<string, number>> {
  const layer = parseModule(standardSource(name)).items.find((i) => i.kind === 'layer');
  if (layer?.kind !== 'layer') throw new Error(`no layer in ${name}`);
  return Object.fromEntries(layer.dims.flatMap(({ text }) => (sizes[text] === undefined ? [] : [[text, sizes[text]]])));
}

describe('the embedded texts', () => {
  it('are those of layers/*.layer', () => {
    const generated = readFileSync(join(import.meta.dirname, '../src/standard/layers.generated.ts'), 'utf8');
    expect(generated, 'run: node packages/ir/scripts/embed-layers.ts').toBe(embeddedLayers());
  });

  it('have trees that are those the parser makes', () => {
    const generated = readFileSync(join(import.meta.dirname, '../src/standard/modules.generated.ts'), 'utf8');
    expect(generated, 'run: node packages/ir/scripts/embed-layers.ts').toBe(frozenLayers());
    for (const name of standardLayerNames) {
      const source = `espalier/${name}.layer`;
      const parsed = parseModule(standardSource(name), source);
      expect(thaw(freeze(parsed), source)).toEqual(parsed);
    }
  });

  it('come back as they were written', () => {
    for (const name of [...standardLayerNames, 'functions']) {
      expect(standardSource(name)).toBe(readFileSync(join(import.meta.dirname, `../layers/${name}.layer`), 'utf8'));
    }
  });
});

describe.each(standardLayerNames)('%s', (name) => {
  it('is sound with nothing bound', () => {
    expect(checkModule(standardSource(name))).toEqual([]);
  });

  it('is named like its file', () => {
    expect(standardLayer(name, { dims: dimsFor(name) }).name).toBe(name);
  });

  it('elaborates', () => {
    expect(dumpLayerIR(standardLayer(name, { dims: dimsFor(name) }))).toMatchSnapshot();
  });

  it('elaborates with everything bound, sizes of one and zero too', () => {
    for (const size of [0, 1, 5]) {
      const layer = parseModule(standardSource(name)).items.find((i) => i.kind === 'layer');
      if (layer?.kind !== 'layer') throw new Error(name);
      const dims = Object.fromEntries(layer.dims.map((d) => [d.text, size]));
      expect(() => standardLayer(name, { dims }), `${name} at ${size}`).not.toThrow();
    }
  });
});

describe('options', () => {
  it('take every activation of the library', () => {
    const names = parseModule(standardSource('functions')).items.flatMap((i) =>
      i.kind === 'function' && i.params.length === 1 ? [i.name.text] : [],
    );
    expect(names.length).toBeGreaterThan(8);
    for (const activation of [...names, 'tanh']) {
      const layer = standardLayer('ff', { dims: { D: 3, H: 4, O: 2 }, options: { activation } });
      expect(layer.fixed).toMatchObject({ activation });
    }
  });

  it('leave out the bias of the published leaf evaluation', () => {
    const layer = standardLayer('leaf_fff', { dims: { D: 3, W: 2, O: 2, depth: 2 }, without: ['b2'] });
    expect(layer.tensors.some((t) => t.name === 'b2')).toBe(false);
  });

  it('are refused when there are none of the name', () => {
    expect(() =>
      standardLayer('fff', { dims: { D: 3, O: 3, trees: 1, depth: 1 }, options: { activaton: 'relu' } }),
    ).toThrow('did you mean `activation`?');
    expect(() => standardLayer('ffff')).toThrow('did you mean `fff`?');
    expect(() => standardLayer('constructor')).toThrow(DiagnosticError);
  });
});
