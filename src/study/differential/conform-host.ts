/** Random scenarios on this machine's KVM and on the model that stands for it. */
import { InputError, notAllowed } from "../../cost/input.js";
import { openKvm } from "../../host/kvm.js";
import { describeMachine, type HostMachine } from "../../host/machine.js";
import { VcpuThread } from "../../host/vcpu-thread.js";
import type { Paging } from "../../kvm/spte.js";
import { PATCHES } from "../../patches/index.js";
import type { DifferentialOptions, DifferentialReport } from "./differential.js";
import { runOnHost } from "./host-driver.js";
import type { ModelSetting } from "./model-vm.js";

/** JSON-serialisable. */
export interface HostConformance extends DifferentialReport {
  readonly machine: Pick<HostMachine, "cpuModel" | "kernel" | "kvmModule" | "paging" | "mmioCaching">;
  /** The model's kernel and how it was set, and the patches on it. */
  readonly model: Pick<ModelSetting, "kernel" | "paging" | "mmioCaching"> & {
    readonly patches: readonly string[];
  };
}

/** How many scenarios, and which: where nothing else is asked for. */
const DEFAULT_SCENARIOS = 2000;
const DEFAULT_SEED = 1;

/**
 * @throws HostUnavailable where KVM cannot be used, InputError for a number that is none, or a kernel that no model stands
 *   for, SystemCallError for what KVM should not have refused
 */
export async function conformHost(options: Partial<DifferentialOptions> = {}): Promise<HostConformance> {
  const { scenarios = DEFAULT_SCENARIOS, seed = DEFAULT_SEED, ...rest } = options;
  if (!(Number.isInteger(scenarios) && scenarios > 0))
    throw new InputError("scenarios", notAllowed(scenarios), "a whole number from 1");
  if (seed !== (seed | 0))
    throw new InputError("seed", notAllowed(seed), "a whole number of 32 bits, signed");
  // Loaded by who needs it only, with all that draws scenarios.
  const { differential } = await import("./differential.js");
  const kvm = openKvm();
  try {
    const machine = describeMachine();
    const { cpuModel, kernel, kvmModule, paging, mmioCaching } = machine;
    const model = modelOf(machine);
    const changes = model.patches.map((patch) => PATCHES[patch].change);
    const thread = await VcpuThread.start();
    try {
      const report = await differential({ scenarios, seed, ...rest }, { ...model, changes }, (scenario) =>
        runOnHost(scenario, kvm, thread),
      );
      return { machine: { cpuModel, kernel, kvmModule, paging, mmioCaching }, model, ...report };
    } finally {
      await thread.close();
    }
  } finally {
    kvm.close();
  }
}

/**
 * Which model stands for a machine's kernel: that of v6.19 from Linux 5.18 on, which refuses slots beyond the addresses of the processor, with the fast MMIO bus of SVM behind 6.19.
 * Linux 5.18 does not say whether it caches MMIO, and does it.
 *
 * @throws InputError for an older kernel, and where it cannot be told how guests are translated
 */
export function modelOf({
  kernel,
  vendor,
  paging,
  mmioCaching,
}: Pick<HostMachine, "kernel" | "vendor" | "paging" | "mmioCaching">) {
  const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(kernel ?? "") ?? [];
  if (Number(major) < 5 || (Number(major) === 5 && Number(minor) < 18))
    throw new InputError(
      "this machine's kernel",
      `${kernel ?? "an unknown one"} has no model`,
      "Linux 5.18 or later",
    );
  const isLater = Number(major) > 6 || (Number(major) === 6 && Number(minor) > 19);
  const of = pagingOf(paging, vendor);
  return {
    kernel: "v6.19",
    paging: of,
    mmioCaching: mmioCaching ?? true,
    patches: isLater && of === "npt" ? (["svm-fast-mmio"] as const) : [],
  } as const;
}

/** Without its module's parameter a processor's KVM does as it does by default. */
function pagingOf(paging: HostMachine["paging"], vendor: string | null): Paging {
  if (paging !== "unknown") return paging;
  if (vendor === "GenuineIntel") return "ept";
  if (vendor === "AuthenticAMD") return "npt";
  throw new InputError(
    "this machine's KVM",
    "does not say how it translates",
    "EPT, nested page tables or shadow paging",
  );
}
