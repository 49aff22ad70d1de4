/** `espalier bench` hands on to the package that measures. */
import { expect, it } from 'vitest';
import { measuring } from '../src/commands/measure.ts';
import { UsageError } from '../src/errors.ts';
import { espalier } from './support/terminal.ts';

it('lists what it would measure', async () => {
  const { code, out } = await espalier('bench --list --filter tree --modes wide --tokens 1');
  expect(out).toBe('tree 768, 4095 neurons, 1 token, 1 thread, wide\n');
  expect(code).toBe(0);
});

it('shows the options of the bench itself', async () => {
  const { code, out } = await espalier('bench --help');
  expect(out).toContain('--baselines LIST');
  expect(code).toBe(0);
});

it('ends with 2 for a mistake', async () => {
  const { code, error } = await espalier('bench --modes narrow');
  expect(error).toContain('it knows plain, wide');
  expect(code).toBe(2);
});

it('says how to install what measures', async () => {
  const stream = { write: () => true };
  const around = { out: stream, error: stream, environment: {}, cwd: '.' };
  const failed = await measuring('benchCommand', [], around, '@espalier/nowhere').catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(UsageError);
  expect(failed).toMatchObject({
    code: 'U011',
    message: 'U011: @espalier/nowhere is not installed',
    hint: 'npm install @espalier/nowhere',
  });
});
