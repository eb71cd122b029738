/** `exitlab calibrate`: costs from what the tools of one's own machine printed. */
import { resolve } from "node:path";
import { InputError, notAllowed } from "../cost/input.js";
import type { KernelVersion } from "../kvm/eras.js";
import type { Host, Mitigations } from "../kvm/kvm.js";
import type { Paging } from "../kvm/spte.js";
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

export async function calibrateCommand(files: string[], options: Options): Promise<void> {
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
