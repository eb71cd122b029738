/** The studies by their names: each is reported, and the command under its report makes the same report again. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { STUDY_DESCRIPTIONS, studyReport } from "../../src/report/studies.js";
import { inProcess, wordsOf } from "../cli/exitlab.js";

const scenario = {
  cpu: "sandy-bridge-ep",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x400000" }],
  doorbells: { address: "0xfebf0000" },
  workload: [{ op: "kick" }],
  accesses: 50,
};

/** Options that make a study short, and different from what it is without them. */
const OPTIONS: Readonly<Record<string, object>> = {
  "pci-testdev": {
    cpu: "ivy-bridge-i7-3770k",
    costs: { fastPioOut: { low: 20, high: 60.5 } },
    accesses: 50,
    seed: 3,
  },
  "exit-rows": {},
  "walk-figures": { seed: 2 },
  "load-latency": { cpus: ["lynnfield-i7-860"], maxFootprintKib: 64, seed: 2 },
  "nested-walks": {
    footprintsKib: [64],
    geometry: { nestedTlb: null, switches: { nestedTlbHolds: "all" } },
    seed: 2,
  },
  "cold-walk": {},
  "reference-counts": {},
  "life-of-a-fault": { kernel: "v6.19", address: "0xfebf1000" },
  thread: { sweep: "none", accesses: 100 },
  "tlb-argument": { guestPages: ["4K"], ept: ["4K"], kicks: 16 },
  reads: { accesses: 100 },
  "fault-tax": { accesses: 100 },
  bypass: { accesses: 100 },
  "slot-price": { accesses: 100 },
  "thread-incidents": {},
  "thread-sweep": {},
  incidents: { scenario: { ...scenario, workload: [{ op: "doorbell-read" }] } },
  comparison: {
    a: { name: "it's \u00e4", scenario },
    b: { name: "v6.19", scenario: { ...scenario, kernel: "v6.19" } },
    costs: { eventfdSignal: { low: 200, high: 250, value: 210 } },
    draws: 64,
    seed: 2,
  },
  exits: { scenario },
};

const json = (value: unknown) => JSON.parse(JSON.stringify(value));

describe("the studies", () => {
  it("are these", () => {
    expect(STUDY_DESCRIPTIONS.map(({ name }) => name)).toEqual(Object.keys(OPTIONS));
  });

  // The sweep needs threads, which run what is built: that of the thread has it in `test/cli/study.test.ts`.
  const inThread = STUDY_DESCRIPTIONS.filter(({ name }) => name !== "thread-sweep");

  it.each(inThread)("$name: one command makes the same report", async ({ name }) => {
    const report = await studyReport(name, OPTIONS[name]);
    const { title, provenance, text, figures, tables } = report;
    expect(title).toMatch(new RegExp(`^${name}: .`));
    expect(text).toMatch(/^SIMULATED, not hardware\n/);
    for (const line of text.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
    expect(Object.keys(figures).filter((key) => Object.hasOwn(tables, key))).toEqual([]);
    expect(report.scenario).toMatchObject({ study: name });

    const [npx, exitlab, ...words] = wordsOf(provenance.command ?? "");
    expect([npx, exitlab, ...words.slice(0, 2)]).toEqual(["npx", "exitlab", "study", name]);
    const out = mkdtempSync(join(tmpdir(), "exitlab-study-"));
    const { stdout, stderr, status } = await inProcess([...words, "--out", out, "--formats", "json"]);
    expect([stdout.slice(0, text.length), stderr, status]).toEqual([text, "", 0]);
    expect(JSON.parse(readFileSync(join(out, "rows.json"), "utf8"))).toEqual(json(report.rows));
    rmSync(out, { recursive: true });
  });

  it("leaves out of a command what was not asked", async () => {
    const { provenance } = await studyReport("life-of-a-fault", { kernel: "v4.2" });
    expect(provenance.command).toBe("npx exitlab study life-of-a-fault");
  });

  it.each([
    ["pci", {}, 'study: "pci" is not allowed; allowed: one of pci-testdev, exit-rows,'],
    ["cold-walks", {}, 'study: "cold-walks" is not allowed (did you mean cold-walk?)'],
    [
      "nested-walks",
      { footprintKib: [64] },
      "study nested-walks: footprintKib: is an unknown field (did you mean footprintsKib?); allowed: cpu, geometry",
    ],
    [
      "nested-walks",
      { geometry: { nestedTlbs: null } },
      "study nested-walks: geometry.nestedTlbs: is an unknown field (did you mean nestedTlb?)",
    ],
    [
      "nested-walks",
      { geometry: { stlb: { entries: 0, ways: 4 } } },
      "study nested-walks: geometry.stlb.entries: 0 is not allowed; allowed: entries, a whole number from 1",
    ],
    [
      "load-latency",
      { seed: -1 },
      "study load-latency: seed: -1 is not allowed; allowed: seed, a whole number",
    ],
    ["exit-rows", { seed: 1 }, "study exit-rows: seed: is an unknown field; allowed: no field"],
    ["comparison", { a: { name: "A", scenario } }, "study comparison: b: is missing"],
    ["comparison", { ...OPTIONS.comparison, draws: 48 }, "study comparison: draws: 48 is not allowed"],
    ["exits", { scenario: { ...scenario, accesses: 0 } }, "scenario: accesses: 0 is not allowed"],
  ])("%s refuses %j", async (name, options, message) => {
    await expect(studyReport(name, options)).rejects.toThrow(message);
  });
});

describe("a study's options", () => {
  it("are described field by field", () => {
    const latency = STUDY_DESCRIPTIONS.find(({ name }) => name === "load-latency");
    expect(latency?.options.map(({ field }) => field)).toEqual(["cpus", "maxFootprintKib", "seed"]);
    for (const { options } of STUDY_DESCRIPTIONS)
      for (const { field, allowed } of options) expect([field, allowed]).not.toEqual([field, "an object"]);
  });
});
