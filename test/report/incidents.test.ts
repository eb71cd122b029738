import { describe, expect, it } from "vitest";
import {
  incidentsTable,
  reproductionText,
  tableIncidents,
  tableThreadIncidents,
  threadIncidentsTable,
} from "../../src/report/incidents.js";
import { columnsOf } from "../../src/report/records.js";
import { runReport } from "../../src/report/run-report.js";
import { studyIncidents } from "../../src/study/incidents/incidents.js";
import { minimalReproduction } from "../../src/study/incidents/minimal-reproduction.js";
import { studyThreadIncidents } from "../../src/study/incidents/thread-cases.js";
import { run } from "../../src/study/run/run.js";
import { parseRunJson } from "../../src/study/run-json.js";

const base = {
  name: "as it is",
  cpu: "ivy-bridge-i7-3770k",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: 0x40_0000 }],
  doorbells: { address: 0xfebf_0000 },
  workload: [{ op: "kick" }, { op: "doorbell-read" }],
  accesses: 100,
} as const;
const rfc = {
  ...base,
  name: "the RFC",
  patches: ["rfc"],
  doorbells: { ...base.doorbells, slot: "read-only" },
} as const;
const kicksOnly = { ...base, workload: [{ op: "kick" }] } as const;

const lines = (text: string) => text.split("\n");

describe("incidents as a mail", () => {
  const study = studyIncidents({ scenario: rfc, base });
  const text = incidentsTable(study, [minimalReproduction(rfc, "lost-load")]);
  const reads = study.seen.doorbellReads;

  it("has counts, the difference to the base, and the first of each kind in words", () => {
    expect(text).toContain("Incidents of the RFC, against as it is: 100 instructions");
    expect(text).toContain(`Writes to doorbells: ${100 - reads}; reads at them: ${reads}.`);
    expect(text).toMatch(/^SIMULATED incident {2}instructions {2}less base {2}first at$/m);
    expect(text).toMatch(new RegExp(`^lost-load +${reads} +0 +1|^lost-load +${reads} +0 +\\d+$`, "m"));
    expect(text.replaceAll("\n", " ")).toMatch(
      /lost-load, first at \d+ on vCPU 0: load at 0xfebf0000\. Expected: a read of memory\. Happened: a signal of doorbell 0 at 0xfebf0000, the instruction was skipped\./,
    );
  });

  it("prints a reproduction with its events", () => {
    const at = lines(text).indexOf("To see lost-load on a fresh machine (SIMULATED):");
    expect(lines(text)[at + 1]).toBe("1. vCPU 0: load at 0xfebf0000, 2 bytes");
    expect(text).toContain("  kvm_exit: reason EPT_VIOLATION rip 0x400040 info 181 0");
  });

  it("fits a mail", () => {
    for (const line of lines(text)) expect(line.length).toBeLessThanOrEqual(75);
    for (const line of lines(reproductionText(minimalReproduction(base, "lost-load"))))
      expect(line.length).toBeLessThanOrEqual(72);
  });

  it("says so where there are none", () => {
    expect(incidentsTable(studyIncidents({ scenario: kicksOnly }))).toContain("\nNo incidents.\n");
  });

  it("has a record for each kind, with the same columns", () => {
    expect(columnsOf(tableIncidents(study))).toEqual([
      ...["incident", "count", "lessBase", "instruction", "vcpu", "op", "expected", "happened"],
    ]);
    expect(tableIncidents(studyIncidents({ scenario: rfc }))[0]).toMatchObject({
      ...{ incident: "spurious-signal", count: reads },
    });
  });
});

describe("a run's report", () => {
  it("tells incidents, in text and as a table", () => {
    const { text, tables } = runReport(run(base));
    expect(text).toContain("What guest and device should not have seen, by instruction\nSIMULATED incident");
    expect(tables.incidents).toHaveLength(2);
  });

  it("is the same from its JSON", () => {
    const made = runReport(run(base));
    const { run: read, price } = parseRunJson(JSON.parse(JSON.stringify(made.rows)), "run.json");
    expect(runReport(read, { price }).text).toBe(made.text);
    const { semantics, ...rows } = made.rows as { semantics: object };
    expect(() => parseRunJson({ ...rows, semantics: { ...semantics, kicks: "3" } }, "run.json")).toThrow(
      "run.json: semantics.kicks",
    );
  });

  it("says nothing where there are none, or nobody looked", () => {
    for (const scenario of [kicksOnly, { ...base, semantics: "off" } as const]) {
      const { text, tables } = runReport(run(scenario));
      expect(text).not.toContain("incident");
      expect(Object.keys(tables)).not.toContain("incidents");
    }
  });
});

describe("the thread's cases as a mail", () => {
  const study = studyThreadIncidents();
  const text = threadIncidentsTable(study);

  it("has a line for each design in each table, and what the letters mean", () => {
    expect(text.replaceAll("\n", " ")).toContain(
      "S spurious-signal, L lost-load, I skipped-instruction, D wrong-data.",
    );
    expect(text).toMatch(/^SIMULATED design {2}read {2}i +ii +iii +iii' +iii''/m);
    expect(text).toMatch(/^rfc +SL +- +- +SL +SI +- +- +SLD +SI +SI +S$/m);
    for (const line of lines(text)) expect(line.length).toBeLessThanOrEqual(75);
  });

  it("has a record for each case and design", () => {
    const records = tableThreadIncidents(study);
    expect(records).toHaveLength(study.cases.length * study.designs.length);
    expect(records.find(({ case: number, design }) => number === "vi" && design === "rfc")).toMatchObject({
      ...{ "spurious-signal": 1, "skipped-instruction": 1, "lost-load": 0, kicksByUserspace: 0, stopped: "" },
    });
    expect(columnsOf(records)).toContain("title");
  });
});
