import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compare, EVERY_LAYER } from '../src/compare.ts';
import type { RenderedKernel, Rendering } from '../src/rendering.ts';
import { replay } from '../src/run.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const repository = mkdtempSync(join(tmpdir(), 'espalier-replay-test-'));

const git = (...args: readonly string[]): string =>
  execFileSync('git', ['-C', repository, '-c', 'user.name=test', '-c', 'user.email=test@example.org', ...args], {
    encoding: 'utf8',
  });

/** Changes a file and commits; the text must be there. */
function change(path: string, from: RegExp, to: string): void {
  const before = readFileSync(join(repository, path), 'utf8');
  const after = before.replace(from, to);
  expect(after).not.toBe(before);
  writeFileSync(join(repository, path), after);
  git('commit', '-aqm', `changed ${path}`);
}

async function run(...args: readonly string[]): Promise<{ code: number; out: string; error: string }> {
  const said = { out: '', error: '' };
  const code = await replay(args, {
    out: { write: (text: string) => (said.out += text) },
    error: { write: (text: string) => (said.error += text) },
    coloured: false,
    repository,
    installed: root,
    cwd: repository,
  });
  return { code, ...said };
}

describe('replay of commits', () => {
  beforeAll(() => {
    for (const name of ['artefact', 'ir', 'codegen', 'conformance'])
      cpSync(join(root, 'packages', name), join(repository, 'packages', name), {
        recursive: true,
        filter: (path) => !['node_modules', 'dist', 'test', '.cache'].includes(basename(path)),
      });
    git('init', '-q', '-b', 'main');
    git('add', '.');
    git('commit', '-qm', 'first');
    change('packages/codegen/src/targets/wasm/capabilities.ts', /rows: 6/, 'rows: 4');
    change('packages/codegen/src/version.ts', /'espalier [^']*'/, "'espalier 9.9.9'");
    change('packages/ir/package.json', /"ohm-js": "[^"]*"/, '"ohm-js": "0.0.1"');
  });

  afterAll(() => rmSync(repository, { recursive: true, force: true }));

  it('finds nothing between a commit and itself', async () => {
    const { code, out } = await run('HEAD~1', 'HEAD~1', '--only', 'ff', '--check');
    expect(out).toMatch(/No difference in [1-9]\d* texts\./);
    expect(code).toBe(0);
  });

  it('shows a planted change of the register tile, and only where it is', async () => {
    const { code, out } = await run('HEAD~3', 'HEAD~2', '--only', 'ff', '--check', '--html', 'page.html');
    expect(code).toBe(1);
    expect(out).toMatch(/^ff D=24 .* wasm +\d+ changed +−[1-9]\d* \+[1-9]\d*/m);
    expect(out).toMatch(/^@@ -\d+/m);
    expect(out).toMatch(/^-.*\(local /m);
    const page = readFileSync(join(repository, 'page.html'), 'utf8');
    expect(page).toContain('class="minus"');
    expect(page).not.toMatch(/<(?:script|link|img)|https?:/);
    expect((await run('HEAD~3', 'HEAD~2', '--only', 'add', '--check')).out).toContain('No difference in');
    expect((await run('HEAD~3', 'HEAD~2', '--only', 'ff')).code).toBe(0);
  });

  it('shows what only the manifest says', async () => {
    const { out } = await run('HEAD~2', 'HEAD~1', '--only', 'add', '--check');
    expect(out).toMatch(/generator: "espalier 9\.9\.9"/);
    expect(out).toMatch(/\d+ manifests/);
  });

  it('says which package of an old commit is not installed, and what does not exist', async () => {
    const missing = await run('HEAD', 'HEAD', '--only', 'add');
    expect(missing.code).toBe(2);
    expect(missing.error).toMatch(/@espalier\/ir at [0-9a-f]{7} needs ohm-js 0\.0\.1, which is not installed here/);
    expect((await run('nowhere')).error).toMatch(/there is no commit nowhere/);
    expect((await run('HEAD~1', 'HEAD~1', '--only', 'nothing')).error).toMatch(/neither side knows a layer nothing/);
    expect((await run('--limit', 'x')).code).toBe(2);
    expect((await run('--lmit', '3')).error).toMatch(/--lmit/);
  });
});

const kernel = (name: string, statements: string, more: Partial<RenderedKernel> = {}): RenderedKernel => ({
  ...{
    name,
    strategy: 'map',
    statements,
    text: `${name}\n`,
    flops: 'T',
    grid: 'T',
    scratch: '0',
    when: '',
    workgroup: '1',
  },
  ...more,
});

const rendering = (kernels: readonly RenderedKernel[], more: Partial<Rendering> = {}): Rendering => ({
  ...{
    case: 'ff',
    target: 'wasm',
    extension: 'wat',
    strategy: 'best',
    variant: '',
    kernels,
    manifest: '',
    error: null,
  },
  ...more,
});

describe('comparison', () => {
  it('pairs kernels by what they compute, not by their number', () => {
    const old = [rendering([kernel('k0', 'a', { text: 'A' }), kernel('k1', 'b', { text: 'B' })])];
    const fresh = [
      rendering([kernel('k0', 'new'), kernel('k1', 'a', { text: 'A' }), kernel('k2', 'b', { text: 'C' })]),
    ];
    const { changed, added, removed } = compare(old, fresh);
    expect(changed.map(({ where, before, after }) => [where, before, after])).toEqual([
      ['ff · wasm · best · k2', 'B', 'C'],
    ]);
    expect(added.map(({ statements }) => statements)).toEqual(['new']);
    expect(removed).toEqual([]);
  });

  it('pairs the variants of a unit by their own names', () => {
    const old = [rendering([kernel('k0_few', 'a', { text: 'few' }), kernel('k0', 'a', { text: 'many' })])];
    const fresh = [
      rendering([kernel('k0', 'b'), kernel('k1', 'a', { text: 'many' }), kernel('k1_few', 'a', { text: 'few' })]),
    ];
    const { changed, added } = compare(old, fresh);
    expect(changed).toEqual([]);
    expect(added.map(({ statements }) => statements)).toEqual(['b']);
  });

  it('sees launches that change although the text does not', () => {
    const { changed } = compare([rendering([kernel('k0', 'a')])], [rendering([kernel('k0', 'a', { scratch: '64' })])]);
    expect(changed.map(({ facts }) => facts)).toEqual([['scratch 0 → 64']]);
  });

  it('takes a new target as one thing, and a refusal as a difference', () => {
    const lanes = rendering([kernel('k0', 'a')], { target: 'lanes' });
    const { changed, added, removed } = compare([rendering([])], [rendering([], { error: 'C001' }), lanes]);
    expect(added.map((one) => one.case)).toEqual([EVERY_LAYER]);
    expect(changed.map(({ kind, after }) => [kind, after])).toEqual([['error', 'C001']]);
    expect(removed).toEqual([]);
  });
});
