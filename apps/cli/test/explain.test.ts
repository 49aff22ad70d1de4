import { stageNames, wasm, wgsl } from '@espalier/codegen';
import { describe, expect, it } from 'vitest';
import { changedLines, unifiedDiff } from '../src/terminal/diff.ts';
import { tokensOf } from '../src/terminal/highlight.ts';
import { languages } from '../src/terminal/languages.ts';
import { styleFor } from '../src/terminal/style.ts';
import { espalier } from './support/terminal.ts';

const FFF = 'explain fff --dims D=6,O=5,trees=2,depth=2';

describe('explain', () => {
  it('shows layer, kernels, Kernel IR and text', async () => {
    const { code, out } = await espalier(`${FFF} --target wasm`);
    expect(code).toBe(0);
    expect(out).toContain('layer fff(T, D, O, trees, depth; activation = gelu, rule = gt) {');
    expect(out).toContain('open until it runs: T');
    expect(out).toMatch(/^ {2}k0_few {2}descend\b/m);
    expect(out).toContain('{"step":"vectorise"');
    expect(out).toContain('kernel k0_few(T) // descend:');
    expect(out).toContain('(func (export "k0_few")');
    expect(out).not.toContain('\u001b');
  });

  it('shows every pass by name, and all of them in order', async () => {
    const { out } = await espalier(`${FFF} --target wasm --all`);
    const seen = [...out.matchAll(/^── k0 after ([\w-]+)/gm)].map((match) => match[1]);
    expect(seen).toEqual(stageNames(wasm));
    for (const pass of ['lower', 'expand-math']) {
      const one = await espalier(`${FFF} --target wasm --after ${pass}`);
      expect(one.out).toMatch(new RegExp(`^── k0_few after ${pass} `));
      expect(one.out.includes('erf(')).toBe(pass === 'lower');
    }
  });

  it('shows a kernel as it was compiled in the end, where its unit was too much for the machine at first', async () => {
    const line = 'explain attention --target wgsl --dims heads=2,width=4 --capability storage-buffers=5 --all';
    const { code, out } = await espalier(line);
    expect(code).toBe(0);
    const seen = [...out.matchAll(/^── k0 after ([\w-]+)/gm)].map((match) => match[1]);
    expect(seen).toEqual(stageNames(wgsl));
    expect(out).toMatch(/^── k1 after lower/m);
  });

  it('shows what a pass changes', async () => {
    const { out } = await espalier(`${FFF} --target wasm --diff expand-math`);
    expect(out).toMatch(/^── k0_few: hoist → expand-math, −\d+ \+\d+ lines/);
    expect(out).toMatch(/^-.*erf\(/m);
    expect(out).toMatch(/^\+ +(?:let|var) erf_/m);
    expect((await espalier(`${FFF} --target wasm --diff lower`)).out).toContain('lower comes first');
  });

  it('shows one kernel where several are', async () => {
    const { out } = await espalier('explain ff --target cuda --dims D=6,H=5,O=4 --kernel k1');
    expect(out).toContain('k1');
    expect(out).not.toMatch(/^── k0/m);
    expect(out).not.toMatch(/\bk0\w*\(/);
  });

  it('paints on terminals, as NO_COLOR and FORCE_COLOR say', async () => {
    const line = 'explain add --target wgsl';
    const plain = (await espalier(line)).out;
    const painted = (await espalier(line, { tty: true })).out;
    expect(painted).toContain('\u001b[35m');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the escapes that colour is made of
    expect(painted.replace(/\u001b\[\d+m/g, '').replace(/^──.*$/gm, '')).toBe(plain.replace(/^──.*$/gm, ''));
    expect((await espalier(line, { tty: true, environment: { NO_COLOR: '1' } })).out).toBe(
      (await espalier(line, { environment: {} })).out,
    );
    expect((await espalier(line, { environment: { FORCE_COLOR: '1' } })).out).toContain('\u001b[35m');
  });
});

describe('tokens', () => {
  it('put together are the text, in every language', async () => {
    for (const target of ['wasm', 'wgsl', 'cuda']) {
      const { out } = await espalier(`${FFF} --target ${target}`);
      for (const [name, language] of Object.entries(languages)) {
        const tokens = tokensOf(out, language);
        expect(tokens.map((t) => t.text).join('')).toBe(out);
        expect(
          tokens.every((t) => t.text !== ''),
          name,
        ).toBe(true);
      }
    }
  });

  it.each([
    [
      'layer',
      'output y[t] = x[t] // 2 + 1.5e-3  // half',
      ['keyword:output', 'number:2', 'number:1.5e-3', 'comment:// half'],
    ],
    [
      'kernel',
      '  for lane i in 0 .. (T // 4) { @lane',
      ['keyword:for', 'keyword:lane', 'keyword:in', 'number:0', 'number:4', 'builtin:@lane'],
    ],
    [
      'wat',
      '(local.get $x.ptr) ;; x\n(local $y f32)',
      ['builtin:local.get', 'name:$x.ptr', 'comment:;; x', 'keyword:local', 'name:$y', 'type:f32'],
    ],
    [
      'wgsl',
      '@group(0) var<storage, read> x: array<f32>; /* a\nb */',
      [
        'builtin:@group',
        'number:0',
        'keyword:var',
        'keyword:storage',
        'keyword:read',
        'type:array',
        'type:f32',
        'comment:/* a\nb */',
      ],
    ],
    [
      'cu',
      '__global__ void k0(const float* x) { int i = threadIdx.x; }',
      ['keyword:__global__', 'type:void', 'name:k0', 'keyword:const', 'type:float', 'type:int', 'builtin:threadIdx'],
    ],
  ])('of %s have the roles they should', (name, text, expected) => {
    const tokens = tokensOf(text, languages[name] ?? []);
    expect(tokens.filter((t) => t.role !== 'plain').map((t) => `${t.role}:${t.text}`)).toEqual(expected);
  });
});

describe('diffs', () => {
  const plain = styleFor(false);

  it('show changed lines with three around', () => {
    const lines = Array.from({ length: 20 }, (_, i) => `line ${i}`);
    const after = lines.with(10, 'other').toSpliced(1, 1);
    const text = unifiedDiff(lines.join('\n'), after.join('\n'), plain);
    expect(text).toBe(
      [
        '@@ -1 +1 @@\n line 0\n-line 1\n line 2\n line 3\n line 4',
        '@@ -8 +7 @@\n line 7\n line 8\n line 9\n-line 10\n+other\n line 11\n line 12\n line 13\n',
      ].join('\n'),
    );
    expect(changedLines(lines.join('\n'), after.join('\n'))).toEqual({ removed: 2, added: 1 });
    expect(unifiedDiff('a', 'a', plain)).toBe('');
  });
});
