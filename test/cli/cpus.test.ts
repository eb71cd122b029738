/** `exitlab cpus`. */
import { describe, expect, it } from "vitest";
import { cpuNames, loadCpu } from "../../src/cost/cpu-profile.js";
import { cpuTable, cpuValueList, tableCpus } from "../../src/report/cpus.js";
import { exitlab, inProcess } from "./exitlab.js";

const cpus = (...args: readonly string[]) => inProcess(["cpus", ...args]);

describe("exitlab cpus", () => {
  it("prints all profiles, and with a name the values of one", async () => {
    const list = exitlab(["cpus"]);
    expect([list.status, list.stderr, list.stdout]).toEqual([0, "", cpuTable()]);
    expect((await cpus(cpuNames()[0])).stdout).toBe(cpuValueList(cpuNames()[0]));
  });

  it("prints both as JSON, the values as they are in the file", async () => {
    expect(JSON.parse((await cpus("--json")).stdout)).toEqual(tableCpus());
    expect(JSON.parse((await cpus(cpuNames()[0], "--json")).stdout)).toEqual(loadCpu(cpuNames()[0]).values);
  });

  it("refuses an unknown name with the names there are", async () => {
    const { stdout, stderr, status } = await cpus("pentium");
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toBe(`exitlab: cpu: "pentium" is not allowed; allowed: one of ${cpuNames().join(", ")}\n`);
  });
});
