import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take a minute and more, longest first: begun before the others, so that no processor waits for one at the end. */
const LONG = [
  "notebooks/shipped",
  "cli/sweep",
  "notebooks/viewer",
  "cli/study",
  "report/studies",
  "study/load-latency",
  "notebooks/runner",
  "report/export",
  "report/pictures",
  "study/sweep/redis",
  "setup/own-notebooks",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return place < 0 ? LONG.length : place;
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}

/** Tests of functions alone: nothing of one file is there for the next, so they share a process, which saves half of their time. */
const FUNCTIONS = [
  "test/{conformance,cost,kvm,patches,workload,x86}/**/*.test.ts",
  "test/study/*.test.ts",
  "test/study/{calibrate,compare,conformance,incidents,run,thread}/**/*.test.ts",
  "test/report/{compare,thread}/**/*.test.ts",
];

export default defineConfig({
  test: {
    testTimeout: 120_000,
    // Hooks start browsers.
    hookTimeout: 120_000,
    // One less would leave a processor idle, half of a machine that has two.
    maxWorkers: availableParallelism(),
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: "functions", include: FUNCTIONS, isolate: false } },
      { extends: true, test: { name: "others", include: ["test/**/*.test.ts"], exclude: FUNCTIONS } },
    ],
  },
});
