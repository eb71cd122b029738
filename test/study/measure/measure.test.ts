/** Measuring this machine's KVM: what is refused before, what a host without KVM says, and where there is one, the rows. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { parseVmexit } from "../../../src/cost/vmexit-output.js";
import { measureHost } from "../../../src/study/measure/measure.js";
import type { HostMeasurement } from "../../../src/study/measure/result.js";
import { HOST_ROWS } from "../../../src/study/measure/rows.js";
import { exitlab, inProcess } from "../../cli/exitlab.js";
import { KVM } from "../../host/host-kvm.js";

const MEASURE = pathToFileURL(join(import.meta.dirname, "../../../dist/study/measure/measure.js")).href;

describe("exitlab measure", () => {
  it("refuses what it does not understand, before it looks for KVM", async () => {
    await expect(measureHost({ rows: ["ipi"] })).rejects.toThrow('rows: "ipi" is not allowed');
    await expect(measureHost({ relativeHalfWidth: 1 })).rejects.toThrow("above 0, below 1");
    await expect(measureHost({ limitSeconds: Number.NaN })).rejects.toThrow("limitSeconds");
    const { stderr, status } = await inProcess(["measure", "--pin", "first"]);
    expect([stderr, status]).toEqual([
      'exitlab: --pin: "first" is not allowed; allowed: a whole number\n',
      1,
    ]);
  });

  it.skipIf(KVM === null)("says in one line that KVM cannot be used", async () => {
    const { stdout, stderr, status } = await inProcess(["measure"]);
    expect([stdout, stderr, status]).toEqual(["", `exitlab: ${KVM}\n`, 1]);
  });
});

describe.skipIf(KVM !== null)(`on this machine's KVM${KVM === null ? "" : ` (skipped: ${KVM})`}`, () => {
  // The thread of a vCPU starts from a compiled file, so the built command measures. A wide precision needs the fewest runs.
  const quick = ["measure", "--precision", "0.9", "--limit", "0"];

  it("every row does what its name says, in six runs", { timeout: 600_000 }, () => {
    const { stdout, stderr, status } = exitlab([...quick, "--json"]);
    expect([stderr, status]).toEqual(["", 0]);
    const { rows, unfinished, pinned } = JSON.parse(stdout) as HostMeasurement;
    expect(rows.map(({ name }) => name)).toEqual(HOST_ROWS);
    expect([unfinished, pinned]).toEqual([[], null]);
    for (const { name, median, low, high, runs, batches, did } of rows) {
      expect(low <= median && median <= high, name).toBe(true);
      expect([runs.length, batches], name).toEqual([6, 300]);
      if (did === null) continue;
      const isKick = /wildcard|datamatch|sized/.test(name);
      expect(did.signals, name).toBe(isKick ? 1 : 0);
      const exit = name.startsWith("portio") ? "KVM_EXIT_IO" : "KVM_EXIT_MMIO";
      expect(did.userspaceExits, name).toEqual(name.includes("no-eventfd") ? { [exit]: 1 } : {});
      if (did.kvm !== null) expect(did.kvm.exits, name).toBeGreaterThanOrEqual(1);
    }
    const fault = rows.find(({ name }) => name === "ram-fault");
    if (fault?.did?.kvm) expect(fault.did.kvm.pf_fixed).toBeCloseTo(1, 1);
  });

  it("prints lines that vmexit could have printed", { timeout: 600_000 }, () => {
    const { stdout } = exitlab([...quick, "--vmexit", "--rows", "cpuid", "portio-wildcard-eventfd"]);
    expect(parseVmexit(stdout, "stdout")).toHaveLength(12);
  });

  it("keeps at Ctrl-C the rows that have enough runs, and fails without one", { timeout: 600_000 }, () => {
    const at = (run: number) => {
      const code = `
        const { measureHost } = await import(${JSON.stringify(MEASURE)});
        const onRun = (_, run) => run === ${run} && process.kill(process.pid, "SIGINT");
        try {
          const { rows, interrupted } = await measureHost({ rows: ["cpuid"], relativeHalfWidth: 1e-9, onRun });
          console.log(rows.map(({ name }) => name).join(), interrupted);
        } catch (error) {
          console.log(error.name, error.signal);
        }`;
      return spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" }).stdout;
    };
    expect(at(8)).toBe("cpuid SIGINT\n");
    expect(at(2)).toBe("Interrupted SIGINT\n");
  });
});
