/** Incidents absolutely and against a base, and the shortest way to one. */
import { describe, expect, it } from "vitest";
import { handleBadPage } from "../../../src/patches/handle-bad-page.js";
import { semanticsOf, stepText } from "../../../src/study/incidents/guest-steps.js";
import { studyIncidents } from "../../../src/study/incidents/incidents.js";
import { minimalReproduction } from "../../../src/study/incidents/minimal-reproduction.js";
import type { ScenarioInput } from "../../../src/study/run/scenario.js";

const A = 0xfebf_0000;
const base = {
  cpu: "ivy-bridge-i7-3770k",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: 0x40_0000 }],
  doorbells: { address: A, queues: 4 },
  workload: [
    { op: "kick", weight: 3 },
    { op: "doorbell-read", weight: 1 },
    { op: "load", address: 0x10_0000, size: 8, footprint: 0x1_0000, stride: 0x1000 },
  ],
  accesses: 200,
} as const satisfies ScenarioInput;
const onSlot = { ...base, doorbells: { ...base.doorbells, slot: "read-only" } } as const;
const rfc = { ...onSlot, patches: ["rfc"] } as const;
const writeMostly = { ...onSlot, patches: ["write-mostly-spte"] } as const;
const badPage = { ...onSlot, patches: ["handle-bad-page"] } as const;

describe("incidents of a scenario", () => {
  it("are counted absolutely, and less those that the base has too", () => {
    const { rows, seen } = studyIncidents({ scenario: rfc, base });
    expect(rows).toMatchObject([
      { kind: "spurious-signal", count: seen.doorbellReads, lessBase: 0 },
      { kind: "lost-load", count: seen.doorbellReads, lessBase: 0 },
    ]);
    expect(seen.doorbellReads).toBeGreaterThan(20);
  });

  it("may be fewer than the base's: reads are no news about a design that has none", () => {
    const { rows, seenOfBase } = studyIncidents({ scenario: badPage, base });
    const reads = seenOfBase?.doorbellReads ?? 0;
    expect(rows).toEqual([
      { kind: "spurious-signal", count: 0, lessBase: -reads, first: null },
      { kind: "lost-load", count: 0, lessBase: -reads, first: null },
    ]);
  });

  it("stand alone without a base", () => {
    expect(studyIncidents({ scenario: badPage })).toMatchObject({ base: null, seenOfBase: null, rows: [] });
  });

  it("are repeated by a command with what a person would have written", () => {
    const { command } = studyIncidents({
      scenario: { ...badPage, seed: 1, patches: [handleBadPage] },
    }).provenance;
    expect(command).toContain('"patches": [ "handle-bad-page" ]');
    expect(command).not.toContain("seed");
  });

  it("are of the same guest", () => {
    expect(() => studyIncidents({ scenario: rfc, base: { ...base, seed: 2 } })).toThrow(
      "studyIncidents: base.seed: 2; allowed: that of the scenario, 1",
    );
    expect(() => studyIncidents({ scenario: { ...rfc, semantics: "off" } })).toThrow(
      'studyIncidents: scenario.semantics: "off"; allowed: "checked"',
    );
  });
});

describe("the shortest way to an incident", () => {
  it("is the read alone under the RFC", () => {
    const { steps, first, ftrace } = minimalReproduction(rfc, "lost-load");
    expect(steps.map(stepText)).toEqual([expect.stringMatching(/^vCPU 0: load at 0xfebf[0-3]000, 2 bytes$/)]);
    expect(first.happened).toContain("the instruction was skipped");
    expect(ftrace).toMatch(/kvm_exit: reason EPT_VIOLATION .* info 181 0\n/);
    expect(ftrace).not.toContain("EPT_MISCONFIG");
  });

  it("takes a kick before the read where only a kick marks the page", () => {
    const { steps, ftrace } = minimalReproduction(writeMostly, "lost-load");
    expect(steps.map(stepText)).toEqual([
      expect.stringMatching(/^vCPU 0: store at 0xfebf[0-3]000, 2 bytes$/),
      expect.stringMatching(/^vCPU 0: load at 0xfebf[0-3]000, 2 bytes$/),
    ]);
    expect(ftrace).toContain("kvm_exit: reason EPT_MISCONFIG");
    expect(ftrace).toContain("(its events)");
  });

  it("shows the incident again, and does not without any of its steps", () => {
    const { scenario, steps, kind } = minimalReproduction(base, "spurious-signal");
    expect(semanticsOf(scenario, steps).incidents[kind]).toMatchObject({ count: 1 });
    steps.forEach((_, index) => {
      const without = steps.toSpliced(index, 1);
      expect(semanticsOf(scenario, without).incidents[kind]).toBeUndefined();
    });
  });

  it("is found among what several vCPUs do side by side, and needs one of them", () => {
    const { steps } = minimalReproduction({ ...rfc, vcpus: 2 }, "lost-load");
    expect(steps.map(stepText)).toEqual([
      expect.stringMatching(/^vCPU [01]: load at 0xfebf[0-3]000, 2 bytes$/),
    ]);
  });

  it("needs both where an event is delivered while another vCPU maps its page", () => {
    const scenario = {
      ...base,
      patches: ["rfc"],
      vcpus: 2,
      ioeventfds: [{ addr: 0x10_0000, len: 0 }],
      workload: [
        { op: "event", address: 0x10_0000, size: 8, vcpu: 0 },
        { op: "store", address: 0x10_0010, size: 8, vcpu: 1 },
      ],
      warmup: 0,
    } as const;
    const { steps } = minimalReproduction(scenario, "skipped-instruction");
    expect(steps.map(stepText)).toEqual([
      "vCPU 0: event at 0x100000, 8 bytes; at the same time vCPU 1: store at 0x100010, 8 bytes",
    ]);
  });

  it("is a kick and a read of its neighbour, of all that went before, where wrong data is read", () => {
    const scenario = {
      ...writeMostly,
      workload: [
        { op: "kick", weight: 1 },
        { op: "load", address: A + 0x800, size: 4, weight: 1 },
      ],
      warmup: 0,
    } as const;
    const { steps } = minimalReproduction(scenario, "wrong-data");
    expect(steps.map(stepText)).toEqual([
      "vCPU 0: store at 0xfebf0000, 2 bytes",
      "vCPU 0: load at 0xfebf0800, 4 bytes",
    ]);
  });

  it("is told of when there is none", () => {
    expect(() => minimalReproduction(badPage, "lost-load")).toThrow(
      'minimalReproduction: kind: "lost-load" does not happen; allowed: none: the scenario has no incidents',
    );
    expect(() => minimalReproduction(rfc, "lost-kick")).toThrow("spurious-signal, lost-load");
  });

  it("is not looked for where nothing is checked", () => {
    expect(() => minimalReproduction({ ...rfc, semantics: "off" }, "lost-load")).toThrow(
      'minimalReproduction: semantics: "off"; allowed: "checked"',
    );
  });
});

it("a reproduction's only incident of its kind is in its last step, whatever the warm-up had", () => {
  const { steps, first } = minimalReproduction({ ...base, patches: ["rfc"], warmup: 500 }, "lost-load");
  expect([steps.length, first.instruction]).toEqual([1, 1]);
});

it("a reproduction leaves out what userspace did, where it does not matter", () => {
  const { steps } = minimalReproduction(
    { ...base, userspace: [{ action: "recreate-slot", slot: 0, every: 50 }] },
    "spurious-signal",
  );
  expect(steps.map(({ by }) => by)).not.toContain("userspace");
});
