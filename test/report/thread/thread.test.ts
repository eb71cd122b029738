/** The study of the thread as a whole, and its mail. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { threadMail, threadShortMail } from "../../../src/report/thread/thread.js";
import { tableVerdict } from "../../../src/report/thread/verdict.js";
import { threadRates } from "../../../src/study/thread/rates.js";
import { studyThread, type ThreadStudy } from "../../../src/study/thread/thread.js";
import { overtakes } from "./overtakes-fixture.js";

let study: ThreadStudy;
beforeAll(async () => {
  const made = await studyThread({ sweep: "none" });
  study = { ...made, overtakes, rates: threadRates(overtakes) };
}, 120_000);

describe("the study of the thread", () => {
  it("is JSON, and names the command that makes it again", () => {
    expect(JSON.parse(JSON.stringify(study))).toEqual(study);
    expect(study.provenance.command).toBe(`npx exitlab study thread --options '{ "sweep": "none" }'`);
  });

  it("answers the question first, and says which designs do what their base does not", () => {
    const { perKick } = study.question;
    for (const { value } of Object.values(perKick))
      expect(study.conclusion[0]).toContain(`${Math.round(-value)} cycles fewer`);
    const incidents = study.conclusion.find((sentence) => sentence.startsWith("A read of a doorbell"));
    expect(incidents).toContain("rfc in iii', v, vi, vii; write-mostly in alt 2; npf-fast in read");
    expect(incidents).not.toContain("bad-page");
  });

  it.each([
    [{ cpu: "zen-3-ryzen-9-5900x" }, 'study thread: cpu: "zen-3-ryzen-9-5900x" is not allowed'],
    [{ amdCpu: "haswell-ep-e5-2660v3" }, "a processor of AMD"],
    [{ sweep: "whole" }, 'study thread: sweep: "whole" is not allowed'],
  ])("refuses %j", async (options, message) => {
    await expect(studyThread(options as object)).rejects.toThrow(message);
  });
});

describe.each([
  ["whole", threadMail],
  ["short", threadShortMail],
])("the %s mail", (_, mailOf) => {
  it("fits 75 columns of ASCII, and says in every table that it is simulated", () => {
    const lines = mailOf(study).split("\n");
    for (const line of lines) expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
    expect(lines.filter((line) => line.startsWith("SIMULATED design")).length).toBeGreaterThan(2);
  });

  it("has the base first and counts before cycles", () => {
    const text = mailOf(study);
    expect(text.indexOf("Counts per kick")).toBeLessThan(
      text.indexOf("TSC cycles per kick: value and range"),
    );
    expect(text).toMatch(/SIMULATED design .*\nbase-4\.2 /);
  });
});

describe("the short mail", () => {
  it("is what the README quotes the verdict from", () => {
    const readme = readFileSync(join(import.meta.dirname, "../../../README.md"), "utf8");
    const quoted = /```\n(SIMULATED design[\s\S]*?)\n```/.exec(readme)?.[1];
    expect(threadShortMail(study)).toContain(quoted);
  });
});

describe("the whole mail", () => {
  it("holds objections, incidents, switches, the sweep, what is left out and what would settle it", () => {
    const text = threadMail(study).replaceAll(/\s+/g, " ");
    for (const { verdict } of [study.reads, study.faultTax, study.bypass, study.slotPrice])
      expect(text).toContain(verdict);
    for (const { what } of study.leftOut) expect(text).toContain(what);
    for (const { measurement } of study.settles) expect(text).toContain(measurement);
    expect(text).toContain("violationDrops=nothing");
    expect(text).toContain("rfc loses to bad-page above 2 faults per kick");
  });
});

describe("the records of the verdict", () => {
  it("have what a table of it must have, for each design", () => {
    for (const record of tableVerdict(study)) {
      expect(record.low).toBeLessThanOrEqual(Number(record.value));
      expect(record.value).toBeLessThanOrEqual(Number(record.high));
      expect(record.assumedShare).toBeGreaterThan(0.5);
      expect(record.breakEven).not.toBe("");
    }
  });
});
