/** Opening checkpoints on disk: folders, shards, single files, and each thing that can be missing or broken. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, toFloat32, writeSafetensors } from '../src/index.ts';
import { scanJson } from '../src/json.ts';
import { BUNDLED, caught, model, random, temporaryFolder } from './support.ts';

const one = (name: string, data: Float32Array) =>
  writeSafetensors([{ name, dtype: 'F32', shape: [data.length], data }]);

function folderWith(files: Readonly<Record<string, string | Uint8Array>>): string {
  const folder = temporaryFolder();
  for (const [name, data] of Object.entries(files)) writeFileSync(join(folder, name), data);
  return folder;
}

describe('a folder', () => {
  it.each(BUNDLED)('%s opens with config, weights and tokenizer', async (name) => {
    const checkpoint = await openCheckpoint(model(name));
    expect(checkpoint.name).toBe(name);
    expect(checkpoint.folder).toBe(model(name));
    expect(checkpoint.config).toHaveProperty('model_type');
    expect(checkpoint.tensors.size).toBeGreaterThan(40);
    expect(Object.keys(checkpoint.tokenizerFiles)).toEqual(['tokenizerJson', 'tokenizerConfig', 'vocabTxt']);
    expect(checkpoint.files).toEqual([
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'vocab.txt',
      'model.safetensors',
    ]);
  });

  it('in shards opens as the whole would', async () => {
    const next = random(40);
    const [a, b] = [7, 13].map((length) => Float32Array.from({ length }, next)) as [Float32Array, Float32Array];
    const folder = folderWith({
      'config.json': '{}',
      'model.safetensors.index.json': JSON.stringify({
        metadata: { total_size: 80 },
        weight_map: { a: 'model-00001-of-00002.safetensors', b: 'model-00002-of-00002.safetensors' },
      }),
      'model-00001-of-00002.safetensors': one('a', a),
      'model-00002-of-00002.safetensors': one('b', b),
    });
    const { tensors, files } = await openCheckpoint(folder);
    expect([...tensors].map(([name, view]) => [name, toFloat32(view)])).toEqual([
      ['a', a],
      ['b', b],
    ]);
    expect(files).toHaveLength(4);
  });

  it('whose shards disagree with the index is refused, tensor by tensor', async () => {
    const data = new Float32Array(2);
    const index = (map: unknown) => JSON.stringify({ weight_map: map });
    const base = { 'config.json': '{}', 'm1.safetensors': one('a', data), 'm2.safetensors': one('b', data) };
    const name = 'model.safetensors.index.json';
    const open = (map: unknown, more: Readonly<Record<string, Uint8Array>> = {}) =>
      openCheckpoint(folderWith({ ...base, ...more, [name]: index(map) }));
    const gone = await caught('M018', () => open({ a: 'm1.safetensors', b: 'm3.safetensors' }));
    expect(gone.message).toContain('m3.safetensors');
    const absent = await caught('M018', () => open({ a: 'm1.safetensors', b: 'm2.safetensors', c: 'm2.safetensors' }));
    expect(absent.tensor).toBe('c');
    const swapped = await caught('M018', () => open({ a: 'm2.safetensors', b: 'm1.safetensors' }));
    expect(swapped.message).toContain('m2.safetensors');
    const unknown = await caught('M018', () => open({ a: 'm1.safetensors' }, { 'm1.safetensors': one('x', data) }));
    expect(unknown.tensor).toBe('x');
  });

  it('with a single .safetensors file of another name opens', async () => {
    const folder = folderWith({ 'config.json': '{}', 'weights.safetensors': one('a', new Float32Array(1)) });
    expect((await openCheckpoint(folder)).files).toEqual(['config.json', 'weights.safetensors']);
  });

  it('with several and no index is refused', async () => {
    const w = one('a', new Float32Array(1));
    const folder = folderWith({ 'config.json': '{}', 'x.safetensors': w, 'y.safetensors': w });
    expect((await caught('M004', () => openCheckpoint(folder))).message).toContain('x.safetensors, y.safetensors');
  });

  it('without config, without weights, or with PyTorch weights only says what to do', async () => {
    const weights = one('a', new Float32Array(1));
    const noConfig = folderWith({ 'model.safetensors': weights });
    expect((await caught('M002', () => openCheckpoint(noConfig))).file).toBe(noConfig);
    await caught('M004', () => openCheckpoint(folderWith({ 'config.json': '{}' })));
    const torch = folderWith({ 'config.json': '{}', 'pytorch_model.bin': 'x' });
    const error = await caught('M004', () => openCheckpoint(torch));
    expect(error.message).toContain('only pytorch_model.bin');
    expect(error.hint).toContain('save_pretrained(folder, safe_serialization=True)');
  });

  it('with a broken config says line and column', async () => {
    const weights = one('a', new Float32Array(1));
    const at = async (config: string | Uint8Array) => {
      const folder = folderWith({ 'config.json': config, 'model.safetensors': weights });
      return (await caught('M003', () => openCheckpoint(folder))).message.replace(folder, '…');
    };
    expect(await at('{\n  "a": 1,\n}')).toMatchInlineSnapshot(
      `"M003 …/config.json: not valid JSON, line 3 column 1: expected a key in double quotes. Repair the file at the place named, or fetch it again."`,
    );
    expect(await at('')).toContain('line 1 column 1: expected a value');
    expect(await at('{"a": [1, 2}')).toContain('line 1 column 12: expected a comma or the closing bracket');
    const folder = folderWith({ 'config.json': Uint8Array.from([0x22, 0xff, 0x22]), 'model.safetensors': weights });
    await caught('M005', () => openCheckpoint(folder));
  });

  it('with weights that are not finite is refused unless allowed', async () => {
    const folder = folderWith({
      'config.json': '{}',
      'model.safetensors': one('w', new Float32Array([1, Number.NaN])),
    });
    const error = await caught('M016', () => openCheckpoint(folder));
    expect(error).toMatchObject({ tensor: 'w', file: join(folder, 'model.safetensors') });
    expect((await openCheckpoint(folder, { allowNonFinite: true })).tensors.size).toBe(1);
  });

  it('whose weights are cut names the file', async () => {
    const folder = folderWith({
      'config.json': '{}',
      'model.safetensors': one('w', new Float32Array(9)).subarray(0, -1),
    });
    expect((await caught('M006', () => openCheckpoint(folder))).file).toBe(join(folder, 'model.safetensors'));
  });
});

describe('a file', () => {
  it('opens alone, and takes the config beside it', async () => {
    const folder = folderWith({ 'layer.safetensors': one('w', new Float32Array([4])) });
    const alone = await openCheckpoint(join(folder, 'layer.safetensors'));
    expect(alone).toMatchObject({ name: 'layer', folder, config: undefined, files: ['layer.safetensors'] });
    writeFileSync(join(folder, 'config.json'), '{"a":1}');
    expect((await openCheckpoint(join(folder, 'layer.safetensors'))).config).toEqual({ a: 1 });
  });

  it('of another kind, a missing one and a folder in its place are refused', async () => {
    const folder = folderWith({ 'pytorch_model.bin': 'x' });
    await caught('M004', () => openCheckpoint(join(folder, 'pytorch_model.bin')));
    await caught('M001', () => openCheckpoint(join(folder, 'none.safetensors')));
    await caught('M001', () => openCheckpoint('some/none.safetensors'));
    await caught('M001', () => openCheckpoint(join(folder, 'nothing')));
    await caught('M001', () => openCheckpoint(''.padEnd(9, '?')));
    copyFileSync(model('tiny-bert/config.json'), join(folder, 'config.json'));
    mkdirSync(join(folder, 'model.safetensors'));
    await caught('M005', () => openCheckpoint(folder));
  });
});

describe('the JSON scanner', () => {
  it('agrees with the platform on what is JSON', () => {
    const next = random(41);
    const alphabet = [
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"a"',
      '"b\\n"',
      '"',
      '\\',
      ' ',
      '\n',
      '0',
      '1',
      '-',
      '.',
      'e',
      '+',
      'true',
      'null',
      'x',
      '\u0001',
    ];
    let valid = 0;
    for (let i = 0; i < 30_000; i++) {
      const length = 1 + Math.floor(next() * 7);
      const text = Array.from({ length }, () => alphabet[Math.floor(next() * alphabet.length)]).join('');
      let parses = true;
      try {
        JSON.parse(text);
      } catch {
        parses = false;
      }
      if (parses) valid++;
      expect(scanJson(text).kind !== 'syntax', JSON.stringify(text)).toBe(parses);
    }
    expect(valid).toBeGreaterThan(300);
  });
});
