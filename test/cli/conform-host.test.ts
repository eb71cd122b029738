/** `exitlab conform --host`, as far as it does not take KVM. */
import { describe, expect, it } from "vitest";
import { KVM } from "../host/host-kvm.js";
import { inProcess } from "./exitlab.js";

describe("exitlab conform", () => {
  it("without a table wants to be told against what", async () => {
    const { stderr, status } = await inProcess(["conform"]);
    expect(stderr).toBe("exitlab: conform: nothing is named; allowed: tables, --host, or both\n");
    expect(status).toBe(1);
  });

  it("--host refuses a seed that is no number", async () => {
    const { stderr, status } = await inProcess(["conform", "--host", "--seed", "x"]);
    expect(stderr).toBe('exitlab: --seed: "x" is not allowed; allowed: a whole number\n');
    expect(status).toBe(1);
  });

  it.skipIf(KVM === null)("--host says in a line why this machine's KVM cannot be used", async () => {
    const { stdout, stderr, status } = await inProcess(["conform", "--host"]);
    expect(stdout).toBe("");
    expect(stderr).toBe(`exitlab: ${KVM}\n`);
    expect(status).toBe(1);
  });
});
