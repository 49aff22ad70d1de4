import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { artefactFromFiles } from '@espalier/artefact';
import { compile, wasm } from '@espalier/codegen';
import { standardLayer } from '@espalier/ir';
import { afterAll, describe, expect, it } from 'vitest';
import { espalier } from './support/terminal.ts';

const folder = mkdtempSync(join(tmpdir(), 'espalier-cli-'));
const support = join(import.meta.dirname, 'support');
const filesIn = (path: string): readonly string[] => readdirSync(join(folder, path)).sort();

describe('compile', () => {
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('writes what compile gives, byte for byte, and says so', async () => {
    const { code, out, error } = await espalier('compile ff --target wasm --dims D=5,H=7,O=3 --out one/deep', {
      cwd: folder,
    });
    expect([code, error]).toEqual([0, '']);
    const expected = await compile(standardLayer('ff', { dims: { D: 5, H: 7, O: 3 } }), { target: wasm });
    const files = filesIn('one/deep').map((path) => ({ path, content: readFileSync(join(folder, 'one/deep', path)) }));
    expect(files.map(({ path }) => path)).toEqual(['ff.manifest.json', 'ff.ts', 'ff.wasm', 'ff.wat']);
    const saved = artefactFromFiles(files.map(({ path, content }) => ({ path, content: new Uint8Array(content) })));
    expect(saved.manifest).toEqual(expected.manifest);
    expect(saved.source).toBe(expected.source);
    expect(saved.binary).toEqual(expected.binary);
    for (const { path, content } of files) {
      expect(out).toContain(path);
      if (content.length < 1000) expect(out).toContain(`${content.length} B`);
    }
    expect(out).toMatch(/k0 +contract +\d+·T flop/);
    expect(readFileSync(join(folder, 'one/deep/ff.ts'), 'utf8')).toContain("'./ff.wasm'");
  });

  it('gives every target a folder where there are several', async () => {
    const { code, out } = await espalier(
      'compile rms_norm --target wasm,wgsl,cuda --dims D=9 --out many --no-binding',
      {
        cwd: folder,
      },
    );
    expect(code).toBe(0);
    expect(filesIn('many')).toEqual(['cuda', 'wasm', 'wgsl']);
    expect(filesIn('many/cuda')).toEqual(['rms_norm.cu', 'rms_norm.manifest.json']);
    expect(filesIn('many/wgsl')).toEqual(['rms_norm.manifest.json', 'rms_norm.wgsl']);
    expect(out.match(/^rms_norm for \w+/gm)).toEqual(['rms_norm for wasm', 'rms_norm for wgsl', 'rms_norm for cuda']);
  });

  it('takes options, storage, capabilities and weights left out, and embeds on request', async () => {
    const line =
      'compile ff --target wasm --dims D=4 --dims H=4,O=4 --option activation=relu --without b1,b2 --storage w1=f16 ' +
      '--capability relaxed-simd=false --strategy generic --embed --out options --json';
    const { code, out } = await espalier(line, { cwd: folder });
    expect(code).toBe(0);
    const report = JSON.parse(out) as { targets: { kernels: { strategy: string }[]; requires: string[] }[] };
    expect(report.targets[0]?.kernels.map((k) => k.strategy)).toEqual(['generic', 'generic']);
    expect(report.targets[0]?.requires).toEqual(['simd']);
    const manifest = JSON.parse(readFileSync(join(folder, 'options/ff.manifest.json'), 'utf8'));
    expect(manifest.fixed.activation).toBe('relu');
    const weights = manifest.bindings.filter((b: { role: string }) => b.role === 'weight');
    expect(weights.map((b: { name: string; storage: string }) => [b.name, b.storage])).toEqual([
      ['w1', 'f16'],
      ['w2', 'f32'],
    ]);
    expect(readFileSync(join(folder, 'options/ff.ts'), 'utf8')).not.toContain('readBeside');
  });

  it('compiles a file of one’s own for a target of one’s own', async () => {
    writeFileSync(
      join(folder, 'two.layer'),
      'layer a(T) { input x[T] output y[t] = x[t] + 1 }\nlayer b(T) { input x[T] output y[t] = x[t] * 2 }\n',
    );
    const line = `compile ./two.layer --layer b --target ${support}/targets.ts#careful --out own`;
    const { code, error } = await espalier(line, { cwd: folder });
    expect([code, error]).toEqual([0, '']);
    expect(filesIn('own')).toEqual(['b.manifest.json', 'b.ts', 'b.txt']);
    expect(JSON.parse(readFileSync(join(folder, 'own/b.manifest.json'), 'utf8')).target).toBe('careful');
    expect(readFileSync(join(folder, 'own/b.ts'), 'utf8')).toContain("'./b.txt'");
  });

  it('uses a schedule file, and prints one that can be used', async () => {
    const { out } = await espalier('explain linear --target wasm --dims D=8,O=16 --schedules');
    writeFileSync(join(folder, 'same.json'), out);
    writeFileSync(join(folder, 'none.json'), '{ "k0": [] }');
    const run = async (schedule: string, to: string) => {
      const line = `compile linear --target wasm --dims D=8,O=16 --no-binding --schedule ${schedule} --out ${to}`;
      expect((await espalier(line, { cwd: folder })).code).toBe(0);
      return readFileSync(join(folder, to, 'linear.wat'), 'utf8');
    };
    const { source } = await compile(standardLayer('linear', { dims: { D: 8, O: 16 } }), { target: wasm });
    expect(await run('same.json', 'same')).toBe(source);
    expect(await run('none.json', 'none')).not.toBe(source);
    expect(JSON.parse(out).k0.length).toBeGreaterThan(0);
  });

  it('writes nothing when one target cannot be compiled for', async () => {
    const line = `compile ff --target wasm,wgsl --dims D=4,H=4,O=4 --schedule ${join(folder, 'bad.json')} --out nothing`;
    writeFileSync(join(folder, 'bad.json'), '{ "k9": [] }');
    const { code, error } = await espalier(line, { cwd: folder });
    expect(code).toBe(1);
    expect(error).toContain('C002');
    expect(readdirSync(folder)).not.toContain('nothing');
  });
});
