/** The report of random scenarios: what was met, what cannot be, and the first difference step by step. */
import { beforeAll, describe, expect, it } from "vitest";
import { differentialText } from "../../src/report/differential.js";
import type { HostConformance } from "../../src/study/differential/conform-host.js";
import { differential } from "../../src/study/differential/differential.js";
import { runOnModel } from "../../src/study/differential/model-driver.js";
import type { ModelSetting } from "../../src/study/differential/model-vm.js";

const NPT = { kernel: "v6.19", paging: "npt", mmioCaching: true } as const satisfies ModelSetting;
const SHADOW_4_2 = { kernel: "v4.2", paging: "shadow", mmioCaching: true } as const satisfies ModelSetting;

/** A model in the place of a machine. */
async function conformance(
  scenarios: number,
  model: ModelSetting,
  other: ModelSetting,
): Promise<HostConformance> {
  const { kernel, paging, mmioCaching } = model;
  const report = await differential({ scenarios, seed: 1 }, model, (scenario) => runOnModel(scenario, other));
  return {
    machine: {
      cpuModel: "AMD EPYC",
      kernel: "6.1.0-56-amd64 #1 SMP",
      kvmModule: "kvm_amd",
      paging,
      mmioCaching,
    },
    model: { kernel, paging, mmioCaching, patches: [] },
    ...report,
  };
}

function widest(text: string): number {
  return Math.max(...text.split("\n").map((line) => line.length));
}

describe("without a difference", () => {
  let text: string;
  beforeAll(async () => {
    text = differentialText(await conformance(20, NPT, NPT));
  });

  it("it says so, with machine, model and seed", () => {
    expect(text.replaceAll(/\s+/g, " ")).toMatch(
      /^20 random scenarios on the model and on this machine's KVM, \d+ steps, \d+ of them guest instructions: no difference\. processor AMD EPYC kernel Linux 6\.1\.0-56-amd64, kvm_amd model v6\.19, npt, mmio_caching on seed 1 /,
    );
  });

  it("it says how often each feature was met, and lists the paths that the host cannot reach", () => {
    expect(text).toMatch(/^- KVM_IOEVENTFD: any length \d+; a length \d+; /m);
    expect(text).toMatch(/^exit: nested page fault +\d+$/m);
    expect(text).toContain("- signal by the fast MMIO bus: needs EPT and mmio_caching\n");
    expect(text).not.toMatch(/^signal by the fast MMIO bus +0$/m);
    expect(text).toMatch(/^In no scenario: devices/m);
  });

  it("is at most 72 columns wide", () => {
    expect(widest(text)).toBeLessThanOrEqual(72);
  });
});

describe("with a difference", () => {
  it("both sequences of events stand under each step, as one where they are equal", async () => {
    const shadow = { ...SHADOW_4_2, kernel: "v6.19" } as const;
    const text = differentialText(await conformance(200, shadow, SHADOW_4_2));
    expect(text.replaceAll(/\s+/g, " ")).toContain("guest instructions: a difference in the last of them.");
    const [, difference] = text.split("The first difference, shrunk to 2 steps. The same again:\n");
    expect(difference).toMatch(
      new RegExp(
        [
          "^  exitlab conform --host --seed 1 --path[\\s\\d:]+",
          "  1 eventfd \\d for 0 bytes at 0x1000[0-9a-f]{4}",
          "      both   0",
          "  2 \\S+ \\d bytes? of 0x.* at 0x1000[0-9a-f]{4}",
          "      model  signal of eventfd \\d",
          "      host   userspace gets 0x1000[0-9a-f]{4}, \\d bytes: 0x[0-9a-f]+\n$",
        ].join("\n"),
      ),
    );
    expect(widest(text)).toBeLessThanOrEqual(72);
  });

  it("in memory alone, the first byte is named", async () => {
    const none = await conformance(1, NPT, NPT);
    const difference = {
      ...{ path: "0", scenario: [], events: [] },
      memory: { memory: 1, offset: 0x10, bytes: [1, 0xff] as const },
    };
    expect(differentialText({ ...none, difference })).toContain(
      "In the end byte 0x10 of memory 1 is 0x1 on the model, 0xff on the host.\n",
    );
  });
});
