/** Large pages of the guest, and a large page behind the doorbells. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { walkReferences } from "../../../src/study/loads.js";
import { replay, run } from "../../../src/study/run/run.js";
import type { ScenarioInput } from "../../../src/study/run/scenario.js";

const MBYTE = 2 ** 20;
const DOORBELLS = 0xfebf_0000;

/** Kicks at two doorbells, each of which walks from the root. */
const kicks: ScenarioInput = {
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v4.2",
  exitEvicts: "translations",
  memslots: [{ gpa: 0, size: 4 * MBYTE }],
  doorbells: { address: DOORBELLS, queues: 2, waiter: "poller" },
  workload: [{ op: "kick" }],
  accesses: 16,
};

/** Per kick. */
function references(scenario: ScenarioInput): { readonly guest: number; readonly ept: number } {
  const { counts } = run(scenario);
  const { guest, ept } = walkReferences(counts);
  return { guest: guest / 16, ept: ept / 16 };
}

describe("pages of the guest", () => {
  it.each([
    ["4K", 4],
    ["2M", 3],
    ["1G", 2],
  ] as const)("of %s take %i references of a walk to the guest's tables", (guestPages, guest) => {
    expect(references({ ...kicks, guestPages }).guest).toBe(guest);
  });

  it.each(["ept", "shadow"] as const)(
    "of 1G are translated under %s paging to where those of 4K are",
    (paging) => {
      const { signals } = run({ ...kicks, paging, guestPages: "1G" });
      expect(signals).toEqual(run({ ...kicks, paging, guestPages: "4K" }).signals);
    },
  );

  it("of 1G take what a recording touches in as few pages as that", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "exitlab-large-pages-")), "recording");
    const loads = Array.from({ length: 512 }, (_, i) => `load,${2 ** 40 + 2 * i * MBYTE},8\n`);
    writeFileSync(file, `op,address,size\n${loads.join("")}`);
    const { cpu, kernel } = kicks;
    const memslots = [{ gpa: 0, size: 2048 * MBYTE, backing: "1G" }] as const;
    const { counts } = await replay({
      ...{ cpu, kernel, memslots, guestPages: "1G" },
      recording: { file, format: "csv" },
    });
    // The EPT lacks the page of the guest's tables first, then that of the data.
    expect([counts.walkCompletedLoad1G, counts.walkLoad, counts.exitEptViolation]).toEqual([1, 3, 2]);
  });

  it("of 1G are refused for a processor without", () => {
    expect(() => run({ ...kicks, cpu: "lynnfield-i7-860", guestPages: "1G" })).toThrow(
      'scenario: guestPages: "1G" is not allowed; allowed: 4K or 2M: this cpu has no pages of 1 Gbyte',
    );
  });
});

describe("a read-only slot behind the doorbells", () => {
  const slot = (backing: "4K" | "2M"): ScenarioInput => ({
    ...kicks,
    doorbells: { address: DOORBELLS, queues: 2, slot: "read-only", backing },
    // A read maps what a write never does.
    workload: [{ op: "doorbell-read" }],
    warmup: 0,
  });

  it("is mapped page by page, or by one large page where the host has one", () => {
    const violations = (backing: "4K" | "2M") => run(slot(backing)).counts.exitEptViolation;
    // Two doorbells in two pages; what the guest's tables take is the same.
    expect(violations("4K") - violations("2M")).toBe(1);
  });

  it("is all of the large page then, so that nothing else may lie there", () => {
    const neighbour = { gpa: DOORBELLS - 4096, size: 4096 };
    const beside = (backing: "4K" | "2M"): ScenarioInput => {
      const scenario = slot(backing);
      return { ...scenario, memslots: [neighbour, ...scenario.memslots] };
    };
    expect(() => run(beside("4K"))).not.toThrow();
    expect(() => run(beside("2M"))).toThrow(
      "doorbells.address: 0xfea00000 to 0xfebfffff overlaps memslots[0], 0xfebef000 to 0xfebeffff",
    );
  });

  it("is needed for a backing", () => {
    expect(() => run({ ...kicks, doorbells: { address: DOORBELLS, backing: "2M" } })).toThrow(
      'scenario: doorbells.backing: "2M" is not allowed; allowed: 4K where there is no slot',
    );
  });
});
