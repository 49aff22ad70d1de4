/** Runtimes that a machine may lack: their suites are skipped with the reason, or fail where CI requires them. */
import { describe, it } from 'vitest';

/**
 * Declares `suite` where `open` succeeds. Else one skipped test that names the reason; with the environment variable `required`
 * set to 1, one that fails with it.
 */
export async function whereAvailable(
  name: string,
  required: string,
  open: () => Promise<Disposable>,
  suite: () => void,
): Promise<void> {
  let reason: unknown = null;
  try {
    (await open())[Symbol.dispose]();
  } catch (error) {
    reason = error;
  }
  if (reason === null) return suite();
  const text = reason instanceof Error ? reason.message : String(reason);
  describe(`conformance of ${name}`, () => {
    if (process.env[required] === '1') {
      it('can run here', () => {
        throw new Error(`${required}=1, and ${name} can't run: ${text}`);
      });
    } else it.skip(`can't run here: ${text}`, () => {});
  });
}
