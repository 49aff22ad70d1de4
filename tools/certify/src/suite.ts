/** The conformance suite without a test runner: each of its tests is a check. */
import { type ConformanceSubject, runConformance } from '@espalier/conformance';
import { attempt, type StageContext } from './stages/stage.ts';

/** Of a quick run, every so manieth test. */
const QUICK_STEP = 40;

/** Runs the suite on a subject; names of checks begin with `prefix`. Rejects where the device does not open. */
export async function runSuite(context: StageContext, subject: ConformanceSubject, prefix = ''): Promise<void> {
  const tests: { readonly name: string; readonly body: () => Promise<void> }[] = [];
  const before: (() => Promise<void>)[] = [];
  const after: (() => Promise<void>)[] = [];
  const path: string[] = [];
  runConformance(
    {
      describe: (name, body) => {
        path.push(name);
        body();
        path.pop();
      },
      it: (name, body) => tests.push({ name: [...path.slice(1), name].join(': '), body }),
      beforeAll: (body) => before.push(body),
      afterAll: (body) => after.push(body),
    },
    subject,
  );
  const chosen = context.quick ? tests.filter((_, i) => i % QUICK_STEP === 0) : tests;
  for (const body of before) await body();
  try {
    for (const test of chosen) await attempt(context, `${prefix}${test.name}`, () => test.body().then(() => undefined));
  } finally {
    for (const body of after) await body();
  }
}
