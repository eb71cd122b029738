/** `exitlab compare`, as the command's function: what it prints. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { compareCommand } from "../../src/cli/compare.js";
import { InputError } from "../../src/cost/input.js";
import { compareTable } from "../../src/report/compare/table.js";
import { compareFiles } from "../../src/study/compare/files.js";
import { runSweep } from "../../src/study/sweep/sweep.js";
import { BASE, InThread, SWEEP, temporaryFolder } from "../study/sweep/fixture.js";

function file(name: string, content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), "exitlab-")), name);
  writeFileSync(path, content);
  return path;
}

async function printed(...args: Parameters<typeof compareCommand>): Promise<string> {
  const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  await compareCommand(...args);
  return write.mock.calls.map(([text]) => text).join("");
}

afterEach(() => {
  vi.restoreAllMocks();
});

const vmexit = (vmcall: number) =>
  file("vmexit.txt", [0, 1, 2, 3, 4, 5].map((run) => `vmcall ${vmcall + run}\n`).join(""));
const scenario = file("scenario.json", JSON.stringify(BASE));
const amd = JSON.stringify({ ...BASE, cpu: "zen-3-ryzen-9-5900x", kernel: "v6.19", paging: "npt" });

describe("exitlab compare", () => {
  it("prints measurements in benchstat's layout, significant or not: six runs of each that do not overlap are", async () => {
    const text = await printed(vmexit(1700), [vmexit(1800)], {});
    expect(text).toMatch(/^MEASURED row /m);
    expect(text).toMatch(/^vmcall .* \+5\.8\d% \(p=0\.002 n=6\)$/m);
  });

  it("prints the layout that is asked for", async () => {
    const [before, after] = [vmexit(1700), vmexit(1800)];
    const expected = compareTable(await compareFiles([before, after]), "ministat");
    expect(await printed(before, [after], { style: "ministat" })).toBe(expected);
    expect(expected).toContain("Difference at 95.0% confidence");
  });

  it("compares a sweep along a field", async () => {
    const out = temporaryFolder();
    await runSweep(SWEEP, { executor: new InThread(), out });
    const text = await printed(out, [], { by: "kernel", base: "v6.19" });
    expect(text).toContain("\nv4.2 against v6.19 [TSC cycles per access]\nSIMULATED row");
    expect(text).toContain("Figures: the mean of 2 seeds, each cost at its value\n");
    expect(text).not.toContain("p=");
  });

  it("takes a series of patches as names joined with +, or none", async () => {
    const text = await printed(amd, [], {
      patches: ["none", "svm-fast-mmio"],
      seeds: "2",
      of: "emulateInstruction",
    });
    expect(text).toContain("svm-fast-mmio against none [emulateInstruction per access]\n");
    expect(text.replaceAll(/ \\\n +/g, " ")).toContain(
      " --patches none svm-fast-mmio --seeds 2 --of emulateInstruction\n",
    );
    await expect(printed(amd, [], { patches: ["none", "svm-fast-mmio+no"] })).rejects.toThrow(
      'scenario: patches[1]: "no" is not allowed',
    );
  });

  it("prints all of it as JSON", async () => {
    const json = await printed(scenario, [amd], { seeds: "1", of: "ioBusLookup", json: true });
    expect(JSON.parse(json)).toMatchObject({ kind: "simulated", columns: ["scenario.json", "scenario 2"] });
  });

  it.each([
    ["a number of seeds that is none", { seeds: "many" }, /^--seeds: "many" is not allowed/],
    ["an unknown figure", { of: "cycle" }, /^of: "cycle" is not allowed \(did you mean cycles\?\)/],
    ["one scenario alone", {}, /scenario\.json: is alone/],
  ])("refuses %s", async (_, options, message) => {
    const others = "of" in options ? [amd] : [];
    const work = printed(scenario, others, options);
    await expect(work).rejects.toThrow(InputError);
    await expect(work).rejects.toThrow(message);
  });
});
