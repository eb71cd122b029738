import { availableParallelism } from "node:os";
import { basename, dirname } from "node:path";
import { rolldown } from "rolldown";
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

/**
 * Tests that leave nothing in the process for the next, so that they share one: importing anew would double their time. The
 * others start browsers, servers and kernels, or change the environment.
 */
const SHARED = [
  "test/*.test.ts",
  "test/{conformance,cost,kvm,patches,workload,x86}/**/*.test.ts",
  "test/cli/{calibrate,cli,compare,cpus}.test.ts",
  "test/report/**/!(export|outline|pictures|save|studies).test.ts",
  "test/study/*.test.ts",
  "test/study/{calibrate,compare,conformance,incidents,run,thread}/**/*.test.ts",
  "test/study/sweep/!(patches|redis).test.ts",
];

/**
 * The processor model as the build joins it (src/setup/compile.mjs): vitest makes a call of each use of what another file
 * exports, which is too much on the path of an access.
 */
const joinedProcessorModel = {
  name: "joined processor model",
  enforce: "pre",
  async load(id: string) {
    if (!dirname(id).endsWith("/src/x86")) return null;
    if (basename(id) !== "index.ts") return 'export * from "./index.ts";';
    const bundle = await rolldown({ input: id, optimization: { inlineConst: { mode: "all", pass: 3 } } });
    const { output } = await bundle.generate({ format: "es", sourcemap: true });
    return { code: output[0].code, map: output[0].map };
  },
} as const;

export default defineConfig({
  plugins: [joinedProcessorModel],
  test: {
    globalSetup: "test/temporary-folder.ts",
    testTimeout: 120_000,
    // Hooks start browsers.
    hookTimeout: 120_000,
    // One less would leave a processor idle, half of a machine that has two.
    maxWorkers: availableParallelism(),
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: "shared", include: SHARED, isolate: false } },
      { extends: true, test: { name: "alone", include: ["test/**/*.test.ts"], exclude: SHARED } },
    ],
  },
});
