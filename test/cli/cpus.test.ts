/** `exitlab cpus` of the built command line. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cpuNames, loadCpu } from "../../src/cost/cpu-profile.js";
import { cpuTable, cpuValueList, tableCpus } from "../../src/report/cpus.js";

const MAIN = join(import.meta.dirname, "../../dist/cli/main.js");

function cpus(...args: readonly string[]) {
  return spawnSync(process.execPath, [MAIN, "cpus", ...args], { encoding: "utf8" });
}

describe("exitlab cpus", () => {
  it("prints all profiles, and with a name the values of one", () => {
    const list = cpus();
    expect([list.status, list.stderr, list.stdout]).toEqual([0, "", cpuTable()]);
    expect(cpus(cpuNames()[0]).stdout).toBe(cpuValueList(cpuNames()[0]));
  });

  it("prints both as JSON, the values as they are in the file", () => {
    expect(JSON.parse(cpus("--json").stdout)).toEqual(tableCpus());
    expect(JSON.parse(cpus(cpuNames()[0], "--json").stdout)).toEqual(loadCpu(cpuNames()[0]).values);
  });

  it("refuses an unknown name with the names there are", () => {
    const { stdout, stderr, status } = cpus("pentium");
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toBe(`exitlab: cpu: "pentium" is not allowed; allowed: one of ${cpuNames().join(", ")}\n`);
  });
});
