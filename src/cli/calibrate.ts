/** `exitlab calibrate`: costs from what the tools of one's own machine printed. */

import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { cpuNames } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import type { KernelVersion } from "../kvm/eras.js";
import { KERNEL_VERSIONS } from "../kvm/eras.js";
import type { Host, Mitigations } from "../kvm/kvm.js";
import { HOSTS, MITIGATIONS } from "../kvm/kvm.js";
import type { Paging } from "../kvm/spte.js";
import { PAGINGS } from "../kvm/spte.js";
import { calibrationTable } from "../report/calibration.js";
import { calibrate, saveCostProfile } from "../study/calibrate/calibrate.js";
import type { ScenarioInput } from "../study/run/scenario.js";
import { positiveNumber, readJson } from "./input.js";

interface Options {
  readonly cpu: string;
  readonly kernel: KernelVersion;
  readonly mitigations?: Mitigations;
  readonly paging?: Paging;
  readonly mmioCaching: boolean;
  readonly host?: Host;
  readonly tscMhz?: string;
  readonly scenario?: string;
  readonly output?: string;
  readonly json?: boolean;
}

/** Adds the command to the program. */
export function addCalibrate(program: Command): void {
  program
    .command("calibrate")
    .description("fit the costs to what the tools of a machine printed")
    .argument(
      "<file...>",
      "output of kvm-unit-tests' vmexit, of perf kvm stat report, ftrace text, or a CSV file of rows",
    )
    .addOption(
      new Option("--cpu <name>", "profile of its processor").choices(cpuNames()).makeOptionMandatory(),
    )
    .addOption(
      new Option("--kernel <version>", "the one of these that is nearest to the host's kernel")
        .choices(KERNEL_VERSIONS)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("--mitigations <state>", "as the host was booted (default: off)").choices(MITIGATIONS),
    )
    .addOption(
      new Option("--paging <mode>", "of its guests (default: ept, or npt on AMD's processors)").choices(
        PAGINGS,
      ),
    )
    .option("--no-mmio-caching", "kvm.mmio_caching was off")
    .addOption(
      new Option("--host <what>", "what the host itself ran on (default: bare-metal)").choices(HOSTS),
    )
    .option("--tsc-mhz <n>", "frequency of its TSC (default: the profile's)")
    .option(
      "--scenario <file.json>",
      "what the guest did while perf or ftrace recorded it, in a file or as JSON",
    )
    .option("-o, --output <profile.json>", "also write the costs, for run --costs")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExample:\n  exitlab calibrate vmexit.txt --cpu skylake-sp-platinum-8160 --kernel v6.19 --mitigations auto -o profile.json",
    )
    .action(calibrateCommand);
}

async function calibrateCommand(files: string[], options: Options): Promise<void> {
  const {
    cpu,
    kernel,
    mitigations,
    paging,
    mmioCaching,
    host,
    tscMhz,
    scenario,
    output,
    json = false,
  } = options;
  const read = scenario === undefined ? files : [...files, scenario];
  if (output !== undefined && read.some((file) => resolve(file) === resolve(output)))
    throw new InputError("--output", notAllowed(output), "another file than those that are read");
  const calibration = await calibrate(files, {
    cpu,
    kernel,
    ...(mitigations !== undefined && { mitigations }),
    ...(paging !== undefined && { paging }),
    ...(!mmioCaching && { mmioCaching }),
    ...(host !== undefined && { host }),
    ...(tscMhz !== undefined && { tscMhz: positiveNumber("--tsc-mhz", tscMhz) }),
    ...(scenario !== undefined && { scenario: readJson<ScenarioInput>(scenario) }),
  });
  const text = json ? `${JSON.stringify(calibration, null, 2)}\n` : calibrationTable(calibration);
  if (output !== undefined) saveCostProfile(calibration, output);
  process.stdout.write(text);
}
