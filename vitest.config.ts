import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take a minute and more, longest first: begun before the others, so that no processor waits for one at the end. */
const LONG = [
  "notebooks/shipped",
  "report/pictures",
  "cli/sweep",
  "study/load-latency",
  "notebooks/viewer",
  "notebooks/runner",
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

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 120_000,
    // A hook may start a browser.
    hookTimeout: 120_000,
    // One less would leave a processor idle, half of a machine that has two.
    maxWorkers: availableParallelism(),
    sequence: { sequencer: LongestFirst },
  },
});
