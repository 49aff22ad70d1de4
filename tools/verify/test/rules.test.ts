import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { arrowProblems } from '../src/arrows.ts';
import { files, root } from '../src/files.ts';

const read = (name: string): string => readFileSync(root + name, 'utf8');
/** A file's text without its comments. */
const code = (name: string): string =>
  read(name)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '');
const sources = files('packages/*/src/*.ts', 'packages/*/src/**/*.ts', 'apps/*/src/**/*.ts', 'tools/*/src/**/*.ts');

describe('the rules of the house', () => {
  it('has sources to check', () => {
    expect(sources.length).toBeGreaterThan(100);
  });

  it('has arrows that run one way', () => {
    expect(arrowProblems()).toEqual([]);
  });

  it('opens every source file with its idea', () => {
    const silent = sources.filter((name) => !name.endsWith('index.ts') && !/^(?:#!.*\n)?\/\*\*/.test(read(name)));
    expect(silent).toEqual([]);
  });

  it('keeps files small, or says why not', () => {
    const long = sources.filter((name) => read(name).split('\n').length > 450 && !name.endsWith('.generated.ts'));
    expect(long).toEqual([]);
  });

  it('names no layer of the library in codegen', () => {
    const layers = files('packages/ir/layers/*.layer')
      .map((name) => name.replace(/^.*\/|\.layer$/g, ''))
      .filter((name) => !['functions', 'add', 'rows', 'embedding', 'linear'].includes(name));
    expect(layers.length).toBeGreaterThan(10);
    const named = files('packages/codegen/src/*.ts', 'packages/codegen/src/**/*.ts').flatMap((file) => {
      return layers
        .filter((layer) => new RegExp(`['"\`]${layer}['"\`]`).test(code(file)))
        .map((layer) => `${file}: ${layer}`);
    });
    expect(named).toEqual([]);
  });

  it('names targets only in their own folders', () => {
    const naming = files('packages/codegen/src/*.ts', 'packages/codegen/src/**/*.ts').filter(
      (file) => !file.includes('/targets/') && /['"](?:wasm|wgsl|cuda)['"]/.test(code(file)),
    );
    expect(naming).toEqual([]);
    const branching = sources.filter(
      (file) => !file.includes('/targets/') && /if \(\s*\w*\.?target\s*===/.test(read(file)),
    );
    expect(branching).toEqual([]);
  });

  it('quotes the kernels of three machines as they are', () => {
    const page = read('ARCHITECTURE.md');
    const texts = files('packages/codegen/test/golden/three-machines/*.txt');
    expect(texts.length).toBeGreaterThan(5);
    expect(texts.filter((name) => !page.includes(read(name).trimEnd()))).toEqual([]);
  });

  it('holds no path of anybody’s machine', () => {
    const texts = files('*.ts', '*.md', '*.json', '*.mjs', '*.yaml', '.ci/run').filter(
      (name) => !name.startsWith('models/') && name !== 'pnpm-lock.yaml',
    );
    const path = new RegExp(['/(?:wo', 'rk|ro', 'ot)/|/ho', 'me/[a-z]+/'].join(''));
    expect(texts.filter((name) => path.test(read(name)))).toEqual([]);
  });
});
