/**
 * The program of the command line. Each command, with its arguments and options, is in a file of its own.
 *
 * All of them take most of a second to load: the one that is called is loaded alone, and all where they are listed, or where it is
 * none of them.
 */
import { Command } from "commander";
import { packageVersion } from "../study/provenance.js";

const EXIT_CODES = `
Exit codes:
  0    done
  1    bad input, or a failure; a line on stderr says which
  2    a sweep is through, but some of its points failed
  130  interrupted by Ctrl-C, 143 by SIGTERM; what was finished is kept`;

/** By their names, in the order of the list: what adds each to a program. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  study: async () => (await import("./study.js")).addStudy,
  run: async () => (await import("./run.js")).addRun,
  export: async () => (await import("./export.js")).addExport,
  scenario: async () => (await import("./scenario.js")).addScenario,
  cpus: async () => (await import("./cpus.js")).addCpus,
  measure: async () => (await import("./measure.js")).addMeasure,
  calibrate: async () => (await import("./calibrate.js")).addCalibrate,
  plan: async () => (await import("./plan.js")).addPlan,
  sweep: async () => (await import("./sweep.js")).addSweep,
  merge: async () => (await import("./merge.js")).addMerge,
  compare: async () => (await import("./compare.js")).addCompare,
  worker: async () => (await import("./worker.js")).addWorker,
  conform: async () => (await import("./conform.js")).addConform,
};

/**
 * A new program for these words: what was parsed by one stays in it.
 *
 * Its `parseAsync` throws CommanderError where commander has said all that is to say, help or an error in the words.
 */
export async function exitlabProgram([word = ""]: readonly string[]): Promise<Command> {
  const program = new Command("exitlab")
    .description("Where the cycles of a KVM exit go: simulated, calibrated with published measurements.")
    .version(packageVersion())
    .addHelpText("after", EXIT_CODES)
    .showHelpAfterError()
    // Else commander ends the process itself; commands inherit this when they are added.
    .exitOverride();
  for (const name of namesFor(word)) (await COMMANDS[name]())(program);
  return program;
}

function namesFor(word: string): readonly string[] {
  if (Object.hasOwn(COMMANDS, word)) return [word];
  return ["-V", "--version"].includes(word) ? [] : Object.keys(COMMANDS);
}
