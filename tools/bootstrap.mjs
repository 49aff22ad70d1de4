/**
 * The two commands of the README. Runs on whatever Node a machine has: installs the pinned pnpm, Node and packages,
 * then hands over to them.
 *
 *   npm start [-- validate's arguments]     install, build, validate the bundled models
 *   npm test [-- vitest's arguments]        install, build, lint, typecheck, run all tests; the last line counts them
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, 'node_modules', '.bin');
const windows = process.platform === 'win32';
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
// Started by npm, the environment carries npm's own settings, which pnpm would complain about.
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
// Chromium's software GPU, where it is installed and no other was chosen: so that WebGPU is tested on machines without a GPU.
// Drivers are found by the environment that a process starts with, so it can't be set later.
const softwareGpu = '/usr/lib/chromium/vk_swiftshader_icd.json';
const { VK_DRIVER_FILES: driver = existsSync(softwareGpu) ? softwareGpu : undefined } = process.env;
const environment = {
  ...clean,
  ...(driver === undefined ? {} : { VK_DRIVER_FILES: driver }),
  TURBO_TELEMETRY_DISABLED: '1',
  PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`,
};

/** Runs a program in the project's folder; returns its exit code. */
function run(program, args, env = environment) {
  const result = spawnSync(program, args, { cwd: root, stdio: 'inherit', env, shell: windows });
  if (result.error) {
    process.stderr.write(`could not start ${program}: ${result.error.message}\n`);
    return 127;
  }
  return result.status ?? 128 + (constants.signals[result.signal] ?? 0);
}

function must(what, code) {
  if (code === 0) return;
  process.stderr.write(`\n${what} failed (exit code ${code}).\n`);
  process.exit(code);
}

const [task, ...rest] = process.argv.slice(2);
if (task !== 'start' && task !== 'test') {
  process.stderr.write('usage: node tools/bootstrap.mjs start|test [arguments]\n');
  process.exit(2);
}
const npx = windows ? 'npx.cmd' : 'npx';
must(
  'Installing the packages',
  run(npx, ['--yes', packageManager, 'install', '--frozen-lockfile', '--reporter=append-only', '--loglevel=error']),
);
must('Building', run('turbo', ['run', 'build', '--output-logs=errors-only', '--ui=stream']));

if (task === 'start') {
  process.exit(run('node', ['apps/validate/dist/main.js', ...rest]));
} else {
  const lint = run('biome', ['check', '.', '--diagnostic-level=warn']);
  const types = run('tsc', ['-p', 'tsconfig.json']);
  const results = join(root, 'node_modules', '.cache', 'test-results.json');
  mkdirSync(dirname(results), { recursive: true });
  // Of an earlier run: where vitest does not start it would be counted again.
  rmSync(results, { force: true });
  const tests = run('vitest', [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${results}`,
    ...rest,
  ]);
  const counted = existsSync(results)
    ? JSON.parse(readFileSync(results, 'utf8'))
    : { numPassedTests: 0, numFailedTests: 1, numPendingTests: 0, numTodoTests: 0 };
  const failed = counted.numFailedTests + (lint === 0 ? 0 : 1) + (types === 0 ? 0 : 1);
  if (lint !== 0) process.stdout.write('failed: lint (biome check)\n');
  if (types !== 0) process.stdout.write('failed: types (tsc)\n');
  const code = tests || lint || types;
  // A suite that can't even start fails vitest without failing a test: it counts as one.
  const failures = failed === 0 && code !== 0 ? 1 : failed;
  process.stdout.write(
    `${counted.numPassedTests} passed, ${failures} failed, ${counted.numPendingTests + (counted.numTodoTests ?? 0)} skipped\n`,
  );
  process.exit(code);
}
