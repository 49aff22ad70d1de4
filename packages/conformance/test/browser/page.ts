/** The suite in a page: compiled and run there, on the browser's own WebGPU. */
import { wgsl } from '@espalier/codegen';
import { openWebGpu } from '@espalier/runtime-webgpu';
import { runConformance } from '../../src/index.ts';
import { collect } from './collect.ts';

const suite = collect((runner) =>
  runConformance(runner, { name: 'webgpu in Chromium', open: () => openWebGpu(), target: wgsl, slack: 4 }),
);

/** Runs the test of this name; null when it passes, else what it says. */
async function runInPage(name: string): Promise<string | null> {
  const test = suite.tests.get(name);
  if (test === undefined) return `there is no test ${name}`;
  try {
    await suite.start();
    await test();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

Object.assign(globalThis, { runInPage });
