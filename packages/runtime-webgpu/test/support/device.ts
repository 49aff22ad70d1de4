/**
 * Devices for tests: Dawn with whatever adapter the process finds. Without one, tests that need it are skipped by a reason in
 * their name; where ESPALIER_REQUIRE_WEBGPU is set, that is a failure (open.test.ts).
 */
import { RuntimeError } from '@espalier/runtime';
import type { WebGpuDevice } from '../../src/index.ts';
import { type DawnOptions, openDawn } from '../../src/node.ts';

async function adapterProblem(): Promise<string> {
  try {
    const device = await openDawn();
    await device[Symbol.asyncDispose]();
    return '';
  } catch (error) {
    if (error instanceof RuntimeError && error.code === 'R026') return 'no WebGPU adapter';
    throw error;
  }
}

/** Why there is no device; empty where there is one. */
export const missing = await adapterProblem();

/** A test group's name, with the reason where it is skipped. */
export const titled = (name: string): string => (missing === '' ? name : `${name} (skipped: ${missing})`);

/** A fresh device. */
export const open = (options: DawnOptions = {}): Promise<WebGpuDevice> => openDawn(options);
