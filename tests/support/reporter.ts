import type { Reporter, TestCase, TestModule, TestRunEndReason } from 'vitest/node';

/**
 * Ends a run with one line of counts, `vitest: N passed, N failed, N skipped`, after listing every skipped test with its reason.
 * A skip without a reason fails the run: call `context.skip('why')` inside the test instead of `it.skip`.
 */
export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[], reason: TestRunEndReason): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (state: string): TestCase[] => tests.filter((test) => test.result().state === state);
    const skipped = inState('skipped');
    let unexplained = 0;
    for (const test of skipped) {
      const result = test.result();
      const note = result.state === 'skipped' ? result.note : undefined;
      if (note === undefined) unexplained += 1;
      console.log(`skipped: ${test.module.relativeModuleId} > ${test.fullName}: ${note ?? 'NO REASON GIVEN'}`);
    }
    // A file that does not even load has no tests, yet something failed.
    const brokenFiles = modules.filter((module) => module.errors().length > 0).length;
    const failed = inState('failed').length + brokenFiles + unhandled.length + unexplained;
    console.log(`vitest: ${inState('passed').length} passed, ${failed} failed, ${skipped.length} skipped`);
    if (failed > 0 || reason === 'failed') process.exitCode = 1;
  }
}
