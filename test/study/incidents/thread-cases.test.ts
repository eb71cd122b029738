/** Each consequence of the patches as the thread and its analysis have them: on which design it happens, and on no other. */
import { describe, expect, it } from "vitest";
import {
  studyThreadIncidents,
  THREAD_CASES,
  threadOutcome,
} from "../../../src/study/incidents/thread-cases.js";
import { type DesignName, designOf } from "../../../src/study/thread/designs.js";

const study = studyThreadIncidents();

/** What a case comes to by design: incidents with their counts, and kicks that userspace got; designs without any are left out. */
function outcomes(number: string): Partial<Record<DesignName, Readonly<Record<string, number>>>> {
  return Object.fromEntries(
    study.outcomes
      .filter((outcome) => outcome.number === number)
      .map(({ design, seen, stopped }) => {
        if (seen === null) throw new Error(`${number} on ${design}: ${stopped}`);
        const counts = Object.entries(seen.incidents).map(([kind, { count }]) => [kind, count] as const);
        const byUserspace = seen.kicksByUserspace > 0 ? { byUserspace: seen.kicksByUserspace } : {};
        return [design, { ...Object.fromEntries(counts), ...byUserspace }] as const;
      })
      .filter(([, counts]) => Object.keys(counts).length > 0),
  );
}

const READ_SKIPPED = { "spurious-signal": 1, "lost-load": 1 };
const SKIPPED = { "spurious-signal": 1, "skipped-instruction": 1 };

describe("the kernels themselves", () => {
  it("signal for a read where a misconfiguration does not tell it from a write, and for none at a port or with a value", () => {
    const all = outcomes("read");
    expect(Object.keys(all)).toEqual([
      ...["base-4.2", "rfc", "bad-page", "write-mostly", "base-6.19", "repaired", "fastpath", "npf-fast"],
    ]);
    expect(Object.values(all)).toEqual(Array(8).fill(READ_SKIPPED));
  });
});

describe("the RFC", () => {
  it("(i) signals for every kick at a page that was never touched, where v4.2 itself sends the first to userspace", () => {
    expect(outcomes("i")).toEqual({ "base-4.2": { byUserspace: 1 }, "write-mostly": { byUserspace: 1 } });
  });

  it("(ii) signals for kicks at a page that a read has mapped", () => {
    expect(outcomes("ii")).toEqual({ "write-mostly": { byUserspace: 1 } });
  });

  it("(iii) signals for a read of a page that was never touched, and loses the load", () => {
    expect(outcomes("iii")).toEqual({ rfc: READ_SKIPPED });
  });

  it("(iii') skips an instruction that is to be fetched there", () => {
    expect(outcomes("iii'")).toEqual({ rfc: SKIPPED });
  });

  it("(iii'') leaves a read alone once a neighbour's has mapped the page", () => {
    expect(outcomes("iii''")).toEqual({});
  });

  it("(iv) does nothing to first touches of RAM", () => {
    expect(outcomes("iv")).toEqual({});
  });

  it("(v) lets an ioeventfd over RAM swallow stores and loads, until a neighbour's access maps the page", () => {
    expect(outcomes("v")).toEqual({ rfc: { "spurious-signal": 2, "lost-load": 1, "wrong-data": 1 } });
  });

  it("(vi) skips the instruction whose walk reads an entry with an ioeventfd on it", () => {
    expect(outcomes("vi")).toEqual({ rfc: SKIPPED });
  });

  it("(vii) moves RIP while an event is being delivered", () => {
    expect(outcomes("vii")).toEqual({ rfc: SKIPPED });
  });

  it("(viii) takes an address of L2 for one of L1's, as v4.2's misconfiguration does and v6.19's does not", () => {
    expect(outcomes("viii")).toEqual({
      "base-4.2": { "spurious-signal": 1, byUserspace: 1 },
      rfc: { "spurious-signal": 2 },
      "bad-page": { "spurious-signal": 2 },
      "write-mostly": { "spurious-signal": 1, byUserspace: 1 },
    });
  });

  it("(ix) keeps a page without a slot on the violation path, where others mark it at the first touch", () => {
    expect(outcomes("ix")).toEqual({
      "base-4.2": { byUserspace: 1 },
      "bad-page": { byUserspace: 1 },
      "write-mostly": { byUserspace: 1 },
    });
  });
});

describe("the alternatives", () => {
  it("1: in kvm_handle_bad_page() reads are reads", () => {
    const all = outcomes("alt 1");
    expect(all.rfc).toEqual({ "spurious-signal": 2, "lost-load": 2 });
    expect(all["bad-page"]).toBeUndefined();
  });

  it("2: after the first kick reads signal, and those of a neighbour come from userspace", () => {
    expect(outcomes("alt 2")["write-mostly"]).toEqual({ ...READ_SKIPPED, "wrong-data": 1, byUserspace: 1 });
  });
});

describe("a guest that steps", () => {
  it("misses the debug exception of what v4.2 skips, OUT among it, and has it with v6.19", () => {
    const skipped = { "skipped-instruction": 2 };
    expect(outcomes("skip")).toEqual({
      "base-4.2": { ...skipped, byUserspace: 1 },
      pio: skipped,
      rfc: skipped,
      "bad-page": skipped,
      "write-mostly": { ...skipped, byUserspace: 1 },
    });
  });
});

it("names every case once", () => {
  expect(new Set(THREAD_CASES.map(({ number }) => number)).size).toBe(THREAD_CASES.length);
  expect(study.outcomes).toHaveLength(study.cases.length * study.designs.length);
});

it("says what stopped a design whose patch throws, or whose kernel refuses something", () => {
  const stopped = (statement: string) => {
    const source = `{ kvmHandleBadPage() { ${statement} } }`;
    const patches = [{ name: "stops", constants: {}, source }];
    const [kicks] = THREAD_CASES.filter(({ number }) => number === "i");
    return threadOutcome(kicks, { ...designOf("bad-page"), patches });
  };
  expect(stopped('throw new Error("no such page");')).toEqual({
    number: "i",
    design: "bad-page",
    seen: null,
    stopped: 'patch "stops", kvmHandleBadPage(): no such page',
  });
  expect(stopped("return -14;").stopped).toContain("EFAULT: KVM_RUN: no host memory behind a page");
});

it("takes a design of one's own", () => {
  const source = `{ kvmHandleBadPage(gfn, pfn) {
    this.kvmIoBusWrite(3, this.guestPhysicalAddress(), 0);
    return this.original.kvmHandleBadPage(gfn, pfn);
  } }`;
  const mine = {
    ...designOf("bad-page"),
    name: "mine",
    patches: [{ name: "signals and emulates", constants: {}, source }],
  };
  const { outcomes, provenance } = studyThreadIncidents([mine]);
  expect(provenance.command).toBeNull();
  const kicks = outcomes.find(({ number }) => number === "i");
  // The MMIO bus of v4.2 does not find what the fast bus has: userspace gets each write, beside the signal.
  expect(kicks?.seen).toMatchObject({ kicks: 3, incidents: { "wrong-data": { count: 3 } } });
});
