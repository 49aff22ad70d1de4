/**
 * The sources of a commit, in a folder of their own: taken from git as an archive, so that nothing of the repository changes and
 * nothing is left behind. Packages of the house are linked to each other within the folder; packages from outside are linked to
 * the ones installed here, which must be of the versions that the commit names.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ReplayError } from './errors.ts';

/** Packages that rendering needs. */
const PACKAGES = ['artefact', 'ir', 'codegen', 'conformance'];

export interface Sources {
  /** "b27577e A last look…", or "the working tree". */
  readonly title: string;
  readonly folder: string;
}

export const git = (repository: string, ...args: readonly string[]): string =>
  execFileSync('git', ['-C', repository, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();

/** The full name of a commit. Throws ReplayError for one that isn't there. */
export function commitOf(repository: string, revision: string): string {
  try {
    return git(repository, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`);
  } catch (cause) {
    throw new ReplayError(
      `there is no commit ${revision}`,
      'Name one that `git log` knows: HEAD~1, a branch, a hash.',
      {
        cause,
      },
    );
  }
}

/** Where a branch left main; on main itself, the last commit. */
export function defaultBase(repository: string): string {
  for (const main of ['origin/main', 'main'])
    try {
      return git(repository, 'merge-base', 'HEAD', main);
    } catch {
      // A repository without that branch.
    }
  return commitOf(repository, 'HEAD');
}

/**
 * Puts the sources of a commit into `folder`, linked and ready to run. `installed`: the root of a checkout with node_modules.
 * Throws ReplayError where a package from outside is missing or of another version.
 */
export function sourcesOf(repository: string, commit: string, folder: string, installed: string): Sources {
  mkdirSync(folder, { recursive: true });
  const paths = PACKAGES.map((name) => `packages/${name}`).filter(
    (path) => git(repository, 'ls-tree', '--name-only', commit, `${path}/`) !== '',
  );
  if (!paths.includes('packages/codegen'))
    throw new ReplayError(`${commit.slice(0, 7)} has no compiler (packages/codegen)`, 'Name a later commit.');
  const archive = join(folder, 'sources.tar');
  try {
    git(repository, 'archive', '--format=tar', `--output=${archive}`, commit, ...paths);
    execFileSync('tar', ['-xf', 'sources.tar'], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ReplayError(`the sources of ${commit.slice(0, 7)} could not be unpacked`, why, { cause });
  }
  rmSync(archive);
  for (const path of paths) linkPackage(join(folder, path), folder, installed, commit);
  return { title: git(repository, 'log', '-1', '--format=%h %s', commit), folder };
}

interface PackageFile {
  readonly name: string;
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const packageFile = (folder: string): PackageFile =>
  JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageFile;

function linkPackage(path: string, folder: string, installed: string, commit: string): void {
  const { name: owner, dependencies = {} } = packageFile(path);
  for (const [name, version] of Object.entries(dependencies)) {
    const link = join(path, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    if (version.startsWith('workspace:')) {
      const home = join(folder, 'packages', name.replace(/^.*\//, ''));
      if (existsSync(home)) symlinkSync(home, link, 'junction');
      continue;
    }
    // The suite is only asked for its texts.
    const home = installedAt(name, version, installed);
    if (home !== null) symlinkSync(home, link, 'junction');
    else if (!path.endsWith('conformance'))
      throw new ReplayError(
        `${owner} at ${commit.slice(0, 7)} needs ${name} ${version}, which is not installed here`,
        'The packages of that commit differ from those installed. Compare with a later commit, or check that commit out ' +
          'elsewhere, install there, and run replay from there.',
      );
  }
}

/** The folder of an installed package of that version, wherever among the packages of the house it is used. */
function installedAt(name: string, version: string, installed: string): string | null {
  const packages = join(installed, 'packages');
  for (const user of readdirSync(packages)) {
    const home = join(packages, user, 'node_modules', name);
    if (!existsSync(join(home, 'package.json'))) continue;
    if (packageFile(home).version === version) return realpathSync(home);
  }
  return null;
}
