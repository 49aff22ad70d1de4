/** A test runner that only collects, for suites that run somewhere else than where they are told of. */
import type { TestRunner } from '../../src/index.ts';

export interface Collected {
  /** By their full names. */
  readonly tests: ReadonlyMap<string, () => Promise<void>>;
  /** What comes before all tests, once. */
  start(): Promise<void>;
}

export function collect(declare: (runner: TestRunner) => void): Collected {
  const tests = new Map<string, () => Promise<void>>();
  const before: (() => Promise<void>)[] = [];
  const path: string[] = [];
  declare({
    describe(name, body) {
      path.push(name);
      body();
      path.pop();
    },
    it(name, body) {
      tests.set([...path, name].join(' > '), body);
    },
    beforeAll(body) {
      before.push(body);
    },
    afterAll() {},
  });
  let started: Promise<void> | null = null;
  return {
    tests,
    start() {
      started ??= before.reduce((done, body) => done.then(body), Promise.resolve());
      return started;
    },
  };
}
