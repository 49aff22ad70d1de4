/** A TypeScript program over the workspace's sources, under the house's own compiler options, to which virtual files can be added. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type CompilerOptions, ModuleKind, ModuleResolutionKind, Project, ts } from 'ts-morph';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

/** An empty program; imports of @espalier packages resolve to their sources. `options` override the house's. */
export function workspaceProgram(options: CompilerOptions = {}): Project {
  const text = readFileSync(`${root}tsconfig.base.json`, 'utf8');
  const { config, error } = ts.parseConfigFileTextToJson('tsconfig.base.json', text);
  if (error !== undefined) throw new Error(String(error.messageText));
  const house = ts.convertCompilerOptionsFromJson((config as { compilerOptions: unknown }).compilerOptions, root);
  if (house.errors.length > 0) throw new Error(house.errors.map((e) => String(e.messageText)).join('\n'));
  const paths = Object.fromEntries(
    ['ir', 'artefact', 'runtime', 'codegen'].map((name) => [
      `@espalier/${name}`,
      [`${root}packages/${name}/src/index.ts`],
    ]),
  );
  return new Project({
    compilerOptions: {
      ...house.options,
      // Virtual files have no package.json to say that they are modules.
      module: ModuleKind.ESNext,
      moduleResolution: ModuleResolutionKind.Bundler,
      rewriteRelativeImportExtensions: false,
      noEmit: true,
      paths,
      typeRoots: [`${root}node_modules/@types`],
      ...options,
    },
    skipAddingFilesFromTsConfig: true,
  });
}

/** The absolute path of a file of the workspace, existing or not. */
export const workspacePath = (path: string): string => root + path;

/** "file:line TS2322 message" of every complaint about files whose path `concerns`. */
export const complaints = (project: Project, concerns: (path: string) => boolean = () => true): readonly string[] =>
  project
    .getSourceFiles()
    .filter((file) => concerns(file.getFilePath()))
    .flatMap((file) => file.getPreEmitDiagnostics())
    .map((d) => {
      const message = d.getMessageText();
      const path = d.getSourceFile()?.getFilePath().slice(root.length) ?? '';
      const line = typeof message === 'string' ? message : message.getMessageText();
      return `${path}:${d.getLineNumber() ?? 0} TS${d.getCode()} ${line}`;
    });
