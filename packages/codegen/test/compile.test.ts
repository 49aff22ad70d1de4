/** The driver: same input, same bytes; every stage verified; options it can't use refused; golden texts of the target's output. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { interpretLayer, type LayerIR, layerFromText, standardLayer, standardLayerNames } from '@espalier/ir';
import { describe, expect, it } from 'vitest';
import {
  CompileError,
  compile,
  printKernel,
  ScheduleRefusal,
  stageNames,
  type Target,
  VerifyError,
  WasmRefusal,
  wasm,
} from '../src/index.ts';
import { assemble } from '../src/targets/wasm/assemble.ts';
import { VALUES } from './support/all-layers.ts';
import { clean } from './support/clean.ts';
import { expectGolden } from './support/golden.ts';
import { loweredKernels, random } from './support/kernels.ts';

/** The engine that runs these tests. */
const engine = (globalThis as unknown as { WebAssembly: { validate(bytes: Uint8Array<ArrayBuffer>): boolean } })
  .WebAssembly;

/** A standard layer with every dim fixed that has to be. */
const layerOf = (name: string): LayerIR => standardLayer(name, VALUES[name] ?? {});
const failure = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error: unknown) => error,
  );

describe('every layer of the library', () => {
  it('has sizes to be compiled with', () => {
    expect(Object.keys(VALUES).sort()).toEqual([...standardLayerNames].sort());
  });

  it.each(standardLayerNames)('%s compiles, passes verification after every stage, and validates', async (name) => {
    const stages = new Map<string, string[]>();
    for (const strategy of ['best', 'generic'] as const) {
      const artefact = await compile(layerOf(name), {
        target: wasm,
        strategy,
        observe: (stage, kernel) => {
          const seen = stages.get(`${strategy} ${kernel.name}`) ?? [];
          stages.set(`${strategy} ${kernel.name}`, [...seen, stage]);
        },
      });
      expect(engine.validate(artefact.binary as Uint8Array<ArrayBuffer>)).toBe(true);
      expect(artefact.manifest.launches.length).toBeGreaterThan(0);
    }
    for (const seen of stages.values()) expect(seen).toEqual(stageNames(wasm));
  });

  it('gives the same bytes in another process', async () => {
    const script = `
      import { compile, wasm } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
      import { standardLayer, standardLayerNames } from '@espalier/ir';
      import { VALUES } from ${JSON.stringify(new URL('./support/all-layers.ts', import.meta.url).href)};
      const result = {};
      // Backwards, so that nothing can depend on what was compiled before.
      for (const name of [...standardLayerNames].reverse()) {
        const { manifest, source } = await compile(standardLayer(name, VALUES[name]), { target: wasm });
        result[name] = { manifest, source };
      }
      process.stdout.write(JSON.stringify(result));`;
    const text = execFileSync(
      process.execPath,
      ['--conditions=espalier-source', '--no-warnings', '--input-type=module-typescript', '-e', script],
      {
        cwd: fileURLToPath(new URL('..', import.meta.url)),
        encoding: 'utf8',
        maxBuffer: 1 << 26,
      },
    );
    const there = JSON.parse(text) as Record<string, { manifest: unknown; source: string }>;
    for (const name of standardLayerNames) {
      const { manifest, source } = await compile(layerOf(name), { target: wasm });
      expect(there[name], name).toEqual({ manifest: JSON.parse(JSON.stringify(manifest)), source });
    }
  });
});

describe('verification', () => {
  const broken = (at: number): Target => ({
    ...wasm,
    legalise: (capabilities) => {
      const passes = [...wasm.legalise(capabilities)];
      passes.splice(at, 0, {
        name: 'broken',
        run: (kernel) => ({
          ...kernel,
          body: [
            ...kernel.body,
            { kind: 'assign', name: 'nobody', value: { kind: 'literal', value: 0, type: { scalar: 'i32', lanes: 1 } } },
          ],
        }),
      });
      return passes;
    },
  });

  it.each([0, 1, 4])('names the pass that broke a kernel, planted at %i', async (at) => {
    const error = await failure(compile(layerOf('linear'), { target: broken(at), verify: 'each' }));
    expect(error).toBeInstanceOf(VerifyError);
    expect((error as Error).message).toBe('after broken, kernel k0: nobody is assigned before it is defined');
  });

  it('finds it at the end when not asked for each pass', async () => {
    expect(await failure(compile(layerOf('linear'), { target: broken(0) }))).toBeInstanceOf(VerifyError);
  });
});

describe('options', () => {
  const linear = layerOf('linear');
  it('refuses an unknown capability', async () => {
    const error = await failure(compile(linear, { target: wasm, capabilities: { 'relaxed-smid': true } }));
    expect(error).toBeInstanceOf(CompileError);
    expect((error as Error).message).toBe(
      'C001: wasm has no capability "relaxed-smid"; it knows relaxed-simd, simd-256',
    );
  });

  it('refuses a schedule for a kernel that is not there', async () => {
    const error = await failure(compile(linear, { target: wasm, schedules: { k7: [] } }));
    expect((error as Error).message).toBe('C002: linear has no kernel "k7"; it has k0');
  });

  it.each([
    ['x', 0, 8, 'only weights are packed, x is a tensor of role input'],
    ['w', 2, 8, 'it has no axis 2'],
    ['w', 0, 0, 'blocks of 0'],
    ['z', 0, 8, 'there is no buffer z'],
  ])('refuses to pack %s along %i by %i', async (buffer, axis, block, reason) => {
    const error = await failure(
      compile(linear, { target: wasm, schedules: { k0: [{ step: 'pack', buffer, axis, block }] } }),
    );
    expect(error).toBeInstanceOf(ScheduleRefusal);
    expect((error as ScheduleRefusal).reason).toBe(reason);
  });

  it('prints without fused multiply-add where the engine has none', async () => {
    const { source, manifest } = await compile(linear, { target: wasm, capabilities: { 'relaxed-simd': false } });
    expect(source).not.toContain('relaxed');
    expect(manifest.requires).toEqual(['simd']);
  });

  it('writes every stage where ESPALIER_DUMP says', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'espalier-dump-'));
    try {
      process.env['ESPALIER_DUMP'] = folder;
      const printed: string[] = [];
      await compile(linear, { target: wasm, observe: (_, kernel) => printed.push(printKernel(kernel)) });
      const files = readdirSync(folder).sort();
      expect(files).toEqual(stageNames(wasm).map((stage, i) => `linear.k0.${String(i).padStart(2, '0')}-${stage}.txt`));
      const texts = files.map((file) => readFileSync(join(folder, file), 'utf8').split('\n').slice(1).join('\n'));
      expect(texts).toEqual(printed);
    } finally {
      delete process.env['ESPALIER_DUMP'];
      rmSync(folder, { recursive: true });
    }
  });
});

describe('texts', () => {
  // Odd and small, so that tails show.
  const golden: Readonly<Record<string, LayerIR>> = {
    linear: standardLayer('linear', { dims: { D: 5, O: 9 } }),
    ff: standardLayer('ff', { dims: { D: 3, H: 8, O: 5 }, options: { activation: 'relu' } }),
    fff: standardLayer('fff', { dims: { D: 6, O: 5, trees: 2, depth: 2 }, options: { activation: 'relu' } }),
    fff_blocks: standardLayer('fff', { dims: { D: 6, O: 5, trees: 1, depth: 3 }, options: { activation: 'relu' } }),
    leaf_fff: standardLayer('leaf_fff', { dims: { D: 5, W: 4, O: 3, depth: 2 } }),
    layer_norm: standardLayer('layer_norm', { dims: { D: 7 } }),
    attention: standardLayer('attention', { dims: { heads: 2, width: 5 } }),
    embedding: standardLayer('embedding', { dims: { V: 10, D: 6 } }),
  };
  it.each(Object.entries(golden))('%s', async (name, layer) => {
    const { source } = await compile(layer, { target: wasm });
    expectGolden(`${name}.wat`, source);
    expect(source.split('\n')[0]).toBe(
      `;; ${layer.name} for wasm, generated by espalier 0.1.0. Do not edit: compile again.`,
    );
    const lines = source.split('\n').filter((line) => line.includes(`from espalier/${layer.name}.layer:`));
    expect(lines.length).toBeGreaterThan(0);
  });
});

describe('nesting beyond all measure', () => {
  it('of loops is refused, since the assembler can not read it', async () => {
    const sums = Array.from({ length: 90 }, (_, i) => `sum i${i} in 2: `).join('');
    const layer = layerFromText(`layer nested(T) { input x[T]  output y[t] = x[t] * ${sums} 1 }`, {});
    const error = await failure(compile(layer, { target: wasm }));
    expect(error).toBeInstanceOf(WasmRefusal);
    expect(String(error)).toBe(
      'WasmRefusal: kernel k0 for wasm: more than 80 loops and branches stand inside one another at layer:1:31; define a part of them as a ' +
        'tensor of its own',
    );
  });

  it('of a text that ends the assembler leaves the next one an assembler', async () => {
    const nots = (depth: number): string =>
      `(module (func (result i32) ${'(i32.eqz '.repeat(depth)}(i32.const 1)${')'.repeat(depth)}))`;
    expect(await failure(assemble(nots(3000), 'deep'))).toBeInstanceOf(Error);
    expect(engine.validate(new Uint8Array(await assemble(nots(10), 'shallow')))).toBe(true);
  });
});

describe('lowering', () => {
  it('does not mistake an index of one statement for that of another', () => {
    // Both statements sum over x[t, i], but t is the first row axis of one and the second of the other.
    const layer = layerFromText(
      `layer swapped(T) {
        input x[T, 4], z[T, T]
        a[t, s] = (sum i: x[t, i]) * z[t, s]
        output y[s, t] = a[s, t] + sum i: x[t, i]
      }`,
      {},
    );
    const next = random(7);
    const tensors = {
      x: Float32Array.from({ length: 12 }, () => Math.floor(next() * 9)),
      z: Float32Array.from({ length: 9 }, () => Math.floor(next() * 9)),
    };
    const [fused] = loweredKernels(layer);
    if (fused === undefined) throw new Error('nothing was lowered');
    const found = clean(fused, { dims: { T: 3 }, tensors }).outputs['y'];
    expect(found).toEqual([...(interpretLayer(layer, { dims: { T: 3 }, tensors })['y'] ?? [])]);
  });
});
