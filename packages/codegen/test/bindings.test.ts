/** Generated bindings: a golden text, types that accept right uses and refuse wrong ones, odd names. They are run in runtime-wasm's tests. */
import { type Artefact, type Binding, type Manifest, rowMajor } from '@espalier/artefact';
import { standardLayer } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import { generateBinding } from '../src/bindings/index.ts';
import { propertyName, shapeText, typeName } from '../src/bindings/names.ts';
import { compile, wasm } from '../src/index.ts';
import { expectGolden } from './support/golden.ts';
import { complaints, workspacePath, workspaceProgram } from './support/program.ts';

const binding = (
  name: string,
  role: Binding['role'],
  storage: Binding['storage'],
  shape: Binding['shape'],
): Binding => ({
  name,
  role,
  storage,
  shape,
  layout: rowMajor(shape.length),
});

/** Every storage type, a workspace, a name that is no identifier, texts that would end a comment or a string. */
const manifest: Manifest = {
  version: 1,
  name: 'odd-layer 2',
  target: 'probe',
  generator: 'espalier test',
  dims: ['B', 'S'],
  fixed: { D: 3, rule: "it's */ over" },
  bindings: [
    binding('x', 'input', 'f32', [['*', 'B', 'S'], 3]),
    binding('ids', 'input', 'i32', ['B']),
    binding('w', 'weight', 'f16', [4, 3]),
    binding('per-channel', 'weight', 'i8', [4]),
    binding('h', 'workspace', 'f32', ['B']),
    binding('y', 'output', 'f32', [['*', 'B', ['+', 'S', 1]], 4]),
    binding('nodes', 'output', 'i32', ['B']),
  ],
  launches: [],
  faults: [{ message: 'line\nbreak', place: 'odd.layer:1:1' }],
  requires: [],
  numerics: {},
  checksum: '00ff',
};
const withBinary: Artefact = { manifest, source: 'text', binary: Uint8Array.from({ length: 256 }, (_, i) => i) };
// Also what looks like a placeholder to a template literal.
const withSource: Artefact = { manifest, source: `fn main() {\n  "quoted" 'too' \\ \`\${}\`\n}\n` };

const lax = {
  exactOptionalPropertyTypes: false,
  noUncheckedIndexedAccess: false,
  noPropertyAccessFromIndexSignature: false,
};

/** Complaints about modules of these texts, each of which may import the others: './0.ts', './1.ts' … */
function check(texts: readonly string[], options = {}): readonly string[] {
  const project = workspaceProgram(options);
  const folder = 'packages/codegen/test/virtual';
  texts.forEach((text, i) => {
    project.createSourceFile(workspacePath(`${folder}/${i}.ts`), text);
  });
  return complaints(project, (path) => path.includes(folder)).map((line) => line.slice(folder.length + 1));
}

describe('generateBinding', () => {
  it('writes a module with the code inside', async () => {
    const text = await generateBinding(withBinary);
    expectGolden('bindings/embedded.ts.txt', text);
    expect(await generateBinding(withBinary)).toBe(text);
  });

  it('writes a module with the code beside it', async () => {
    expectGolden('bindings/beside.ts.txt', await generateBinding(withBinary, { artefactPath: './odd-layer-2.wasm' }));
  });

  it.each([
    ['strict', {}],
    ['lax', lax],
  ])('typechecks under %s options, whatever it is made from', async (_, options) => {
    const texts = await Promise.all(
      [withBinary, withSource].flatMap((a) => [generateBinding(a), generateBinding(a, { artefactPath: './code' })]),
    );
    const empty: Manifest = {
      ...manifest,
      name: 'no_weights',
      dims: [],
      bindings: [binding('x', 'input', 'f32', [2]), binding('y', 'output', 'f32', [2])],
    };
    const use = `import type { Device } from '@espalier/runtime';
      import { load } from './0.ts';
      export const use = async (device: Device) => (await (await load(device)).run({ x: new Float32Array(2) })).y.data[0];`;
    expect(check([await generateBinding({ manifest: empty, source: 'code' }), use, ...texts], options)).toEqual([]);
  });

  it('types weights, inputs, outputs and dims of a compiled layer', async () => {
    const fff = standardLayer('fff', { dims: { D: 5, O: 3, trees: 2, depth: 2 } });
    const text = await generateBinding(await compile(fff, { target: wasm }));
    const weights = 'w1: f, b1: { data: f, shape: [2, 7] }, w2: f, threshold: f';
    const use = (body: string): string => `
      import type { Device } from '@espalier/runtime';
      import { load } from './0.ts';
      export async function use(device: Device): Promise<unknown> {
        const f = new Float32Array(1);
        const fff = await load(device, { ${weights} });
        ${body}
      }`;
    const found = check([
      text,
      use(
        'const { y } = await fff.run({ x: f }, { T: 1 }); fff.dispose(); const data: Float32Array = y.data; return data;',
      ),
      use('await fff.run({ x: f }); return load(device, { w1: f });'),
      use('await fff.run({ x: f }); return load(device, { w1: f, b1: f, w2: f, threshold: new Int8Array(1) });'),
      use('return fff.run({ z: f });'),
      use('return fff.run({ x: f }, { S: 1 });'),
      use('const { z } = await fff.run({ x: f }); return z;'),
    ]);
    expect(found.map((line) => line.replace(/ (TS\d+).*?('[\w]+).*/, ' $1 $2'))).toMatchInlineSnapshot(`
      [
        "2.ts:7 TS2345 'FffWeights",
        "3.ts:7 TS2322 'Int8Array",
        "4.ts:7 TS2353 'z",
        "5.ts:7 TS2353 'S",
        "6.ts:7 TS2339 'z",
      ]
    `);
  });
});

describe('names', () => {
  it.each([
    ['fff', 'Fff'],
    ['master_leaf_fff', 'MasterLeafFff'],
    ['odd-layer 2', 'OddLayer2'],
    ['2d', 'Layer2d'],
    ['', 'Layer'],
    ['été', 'Été'],
    ['*/ x', 'X'],
  ])('%o becomes %s', (name, expected) => {
    expect(typeName(name)).toBe(expected);
  });

  it('quotes property names that are no identifiers', () => {
    expect([propertyName('w1'), propertyName('per-channel'), propertyName("it's")]).toEqual([
      'w1',
      "'per-channel'",
      "'it\\'s'",
    ]);
  });

  it('writes shapes with no more brackets than needed', () => {
    expect(
      shapeText([
        ['-', 'T', ['-', 'S', 1]],
        ['*', ['+', 'A', 1], 2],
        ['ceildiv', 'T', 4],
      ]),
    ).toBe('[T - (S - 1), (A + 1) * 2, ceildiv(T, 4)]');
  });
});
