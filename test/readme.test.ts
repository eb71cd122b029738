/** What the README shows is what the program prints today. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mailTable } from "../src/report/mail-table.js";
import { studyPciTestdev } from "../src/study/pci-testdev.js";
import { run } from "../src/study/run/run.js";
import { planSweep } from "../src/study/sweep/plan.js";

const ROOT = join(import.meta.dirname, "..");
const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const study = studyPciTestdev();

describe("the README", () => {
  it("quotes the table of the study", () => {
    const quoted = /```\n(SIMULATED row[\s\S]*?)\n```/.exec(readme)?.[1];
    expect(mailTable(study)).toContain(quoted);
  });

  it("shows the figures of the study in its picture", () => {
    const path = /!\[.*\]\((.*\.svg)\)/.exec(readme)?.[1] ?? "";
    const picture = readFileSync(join(ROOT, path), "utf8");
    for (const { name, measured, simulated } of study.rows) {
      expect(picture).toContain(name);
      expect(picture).toContain(`measured ${measured}`);
      expect(picture).toContain(`simulated ${simulated.toFixed(0)}`);
    }
  });

  it("gives a sweep that runs", async () => {
    const sweep = JSON.parse([...readme.matchAll(/```json\n([\s\S]*?)```/g)][1][1]);
    const { points } = await planSweep(
      { ...sweep, base: { ...sweep.base, accesses: 100 } },
      { out: "/nowhere" },
    );
    expect(points.map(({ reason }) => reason)).toEqual(new Array(60).fill("new"));
  });

  it("gives a scenario that runs", () => {
    const scenario = JSON.parse(/```json\n([\s\S]*?)```/.exec(readme)?.[1] ?? "");
    expect(run({ ...scenario, accesses: 1000 }).signals[0]).toBeGreaterThan(0);
  });
});
