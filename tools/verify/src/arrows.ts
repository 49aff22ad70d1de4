/** Which package may use which: arrows run one way, and a package uses only what its package.json names. */
import { readFileSync } from 'node:fs';
import { files, root } from './files.ts';

/** What each package may depend on at run time. Anything may be a devDependency. */
export const allowed: Readonly<Record<string, readonly string[]>> = {
  '@espalier/artefact': [],
  '@espalier/ir': [],
  '@espalier/codegen': ['@espalier/artefact', '@espalier/ir'],
  '@espalier/onnx': ['@espalier/ir'],
  '@espalier/runtime': ['@espalier/artefact'],
  '@espalier/runtime-wasm': ['@espalier/artefact', '@espalier/runtime'],
  '@espalier/runtime-webgpu': ['@espalier/artefact', '@espalier/runtime'],
  '@espalier/runtime-cuda': ['@espalier/artefact', '@espalier/runtime'],
  '@espalier/runtime-simulator': ['@espalier/artefact', '@espalier/codegen', '@espalier/ir', '@espalier/runtime'],
  '@espalier/models': ['@espalier/ir'],
  '@espalier/conformance': ['@espalier/artefact', '@espalier/codegen', '@espalier/ir', '@espalier/runtime'],
};

interface PackageFile {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Every breach, as a sentence. */
export function arrowProblems(): readonly string[] {
  const problems: string[] = [];
  for (const path of files('packages/*/package.json', 'apps/*/package.json')) {
    const folder = path.slice(0, -'/package.json'.length);
    const manifest = JSON.parse(readFileSync(root + path, 'utf8')) as PackageFile;
    const runtime = Object.keys(manifest.dependencies ?? {});
    const rule = allowed[manifest.name];
    if (rule === undefined && folder.startsWith('packages/'))
      problems.push(`${manifest.name} has no rule in tools/verify/src/arrows.ts`);
    for (const name of runtime) {
      if (rule !== undefined && name.startsWith('@espalier/') && !rule.includes(name))
        problems.push(`${manifest.name} may not depend on ${name}`);
    }
    const used = new Set<string>();
    for (const file of files(`${folder}/src/**/*.ts`, `${folder}/src/*.ts`)) {
      for (const name of importsOf(readFileSync(root + file, 'utf8'))) {
        used.add(name);
        if (!runtime.includes(name)) problems.push(`${file} imports ${name}, which ${manifest.name} doesn't depend on`);
      }
    }
    for (const name of runtime) {
      if (!used.has(name)) problems.push(`${manifest.name} depends on ${name} and doesn't use it`);
    }
  }
  return problems;
}

/** Packages a source file imports, Node's own left out. Doc comments don't count. */
function importsOf(text: string): ReadonlySet<string> {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '');
  const names = new Set<string>();
  for (const match of code.matchAll(
    /(?:^\s*(?:import|export)\s[^'"`;]*?from\s*|\bimport\(\s*|^\s*import\s*)['"]([^'".][^'"]*)['"]/gm,
  )) {
    const name = match[1] as string;
    if (name.startsWith('node:')) continue;
    names.add(
      name
        .split('/')
        .slice(0, name.startsWith('@') ? 2 : 1)
        .join('/'),
    );
  }
  return names;
}
