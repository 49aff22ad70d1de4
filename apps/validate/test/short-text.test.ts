/** A short text of somebody's own, beside golden data that says what float32 costs the model. */
import { expect, test } from 'vitest';
import { bundled, command } from './support/streams.ts';

test('a short text is judged by what float32 costs this model, not by one lucky run', async () => {
  // Its six tokens lost 2.6e-6 in the interpreter's float32 run, and up to 7e-6 in ONNX Runtime.
  const text = ['--text', 'Hello [MASK] world', '--targets', 'wasm,wasm:plain', '--no-timing', '--no-report'];
  const { code, out } = await command([bundled('tiny-ultrafastbert'), ...text]);
  expect(out).toContain('Hello [MASK] world');
  expect([code, out.includes('depart')]).toEqual([0, false]);
});
