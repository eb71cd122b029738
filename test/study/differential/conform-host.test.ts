/** Which model stands for a machine, and random scenarios on this machine's KVM. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { modelOf } from "../../../src/study/differential/conform-host.js";
import { KVM } from "../../host/host-kvm.js";

const INTEL = {
  kernel: "6.1.0-56-amd64 #1 SMP",
  vendor: "GenuineIntel",
  paging: "ept",
  mmioCaching: true,
} as const;
const AMD = { ...INTEL, vendor: "AuthenticAMD", paging: "npt" } as const;

describe("the model that stands for a machine", () => {
  it("is that of Linux 6.19 from 5.18 on, set as the machine's module is", () => {
    expect(modelOf(INTEL)).toEqual({ kernel: "v6.19", paging: "ept", mmioCaching: true, patches: [] });
    expect(modelOf({ ...INTEL, paging: "shadow", mmioCaching: false })).toMatchObject({
      paging: "shadow",
      mmioCaching: false,
    });
  });

  it("caches MMIO where the kernel is too old to say so", () => {
    expect(modelOf({ ...INTEL, kernel: "5.18.0", mmioCaching: null }).mmioCaching).toBe(true);
  });

  it("has the fast MMIO bus of SVM behind 6.19 only", () => {
    const patches = (kernel: string, machine: typeof INTEL | typeof AMD) =>
      modelOf({ ...machine, kernel }).patches;
    expect(patches("6.19.3", AMD)).toEqual([]);
    expect(patches("7.0.0-rc1", AMD)).toEqual(["svm-fast-mmio"]);
    expect(patches("7.0.0-rc1", INTEL)).toEqual([]);
  });

  it("translates as the vendor's does by default where the module does not say", () => {
    expect(modelOf({ ...INTEL, paging: "unknown" }).paging).toBe("ept");
    expect(modelOf({ ...AMD, paging: "unknown" }).paging).toBe("npt");
    expect(() => modelOf({ ...AMD, vendor: null, paging: "unknown" })).toThrow(
      "does not say how it translates",
    );
  });

  it("is none for kernels before 5.18", () => {
    for (const kernel of ["4.19.0", "5.17.9"])
      expect(() => modelOf({ ...INTEL, kernel })).toThrow(
        `this machine's kernel: ${kernel} has no model; allowed: Linux 5.18 or later`,
      );
  });
});

describe.skipIf(KVM !== null)(`this machine's KVM${KVM === null ? "" : `: ${KVM}`}`, () => {
  // Compiled, for a thread starts from a compiled file.
  const compiled = async (): Promise<typeof import("../../../src/study/differential/conform-host.js")> =>
    import(pathToFileURL(join(import.meta.dirname, "../../../dist/study/differential/conform-host.js")).href);

  it("and the model agree on random scenarios", { timeout: 600_000 }, async () => {
    const { conformHost } = await compiled();
    const { difference, scenarios } = await conformHost({ scenarios: 100, seed: 1 });
    expect(difference).toBeNull();
    expect(scenarios).toBe(100);
  });
});

describe("options that are not allowed", async () => {
  const { conformHost } = await import("../../../src/study/differential/conform-host.js");
  it.each([
    [{ scenarios: 0 }, "scenarios: 0 is not allowed; allowed: a whole number from 1"],
    [{ seed: 2 ** 31 }, "seed: 2147483648 is not allowed; allowed: a whole number of 32 bits, signed"],
  ])("%o", async (options, message) => {
    await expect(conformHost(options)).rejects.toThrow(message);
  });
});
