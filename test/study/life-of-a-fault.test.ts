/** One address from its first touch to its first touch again, kernel by kernel. */
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/cost/input.js";
import { KERNEL_VERSIONS, type KernelVersion } from "../../src/kvm/eras.js";
import { parseFtrace } from "../../src/kvm/ftrace.js";
import {
  type FaultStep,
  type LifeOfFaultOptions,
  studyLifeOfFault,
} from "../../src/study/life-of-a-fault.js";

const GFN = 0xfebf0n;

/** The steps by what they are about, as indexes. */
const [FIRST, SECOND, ASSIGN, KICK, LOAD, ADD_B, STALE_KICK, STALE, ADD_A, RAM_KICK, RAM, NATIVE, DELETE] =
  Array.from({ length: 13 }, (_, index) => index);
const [FIRST_AGAIN, LAST] = [13, 14];

/** MMIO SPTEs: writable and executable but not readable, the generation around the gfn. */
function mmio4_2(gfn: bigint, generation: bigint): bigint {
  const [low, high] = [(generation >> 1n) & 0x1ffn, (generation >> 10n) & 0x3ffn];
  return (3n << 62n) | (high << 52n) | (gfn << 12n) | (low << 3n) | 0b110n;
}
function mmio6_19(gfn: bigint, generation: bigint): bigint {
  const [low, high] = [generation & 0xffn, (generation >> 8n) & 0x7ffn];
  return (high << 52n) | (gfn << 12n) | (low << 3n) | 0b110n;
}

/** Of Linux 3.9: bits 56:49, and no generation. */
const OLDEST = {
  mmio: (gfn: bigint, _generation: bigint) => (0xffn << 49n) | (gfn << 12n) | 0b110n,
  generation: 0n,
  nonPresent: 0n,
  ram: 0xf77n,
};
const OLD = {
  mmio: mmio4_2,
  /** -150 in 20 bits, and 2 for the slot of RAM. */
  generation: 0x10_0000n - 150n + 2n,
  nonPresent: 0n,
  /** Readable, writable, executable, write-back whatever the PAT, accessed, dirty, writable for host and KVM. */
  ram: 0xf77n,
};
const NEW = {
  mmio: mmio6_19,
  /** 2 for the slot of RAM: one for each address space. */
  generation: 2n,
  /** Suppress #VE. */
  nonPresent: 1n << 63n,
  ram: 0x8600_0000_0000_0b77n,
};
const formatOf = (kernel: KernelVersion) =>
  ({ "v3.9": OLDEST, "v4.2": OLD, "v4.2.8": OLD, "v6.19": NEW })[kernel];

const hex16 = (value: bigint) => `0x${value.toString(16).padStart(16, "0")}`;
const ADDRESS_BITS = 0xf_ffff_ffff_f000n;

const studies = new Map(KERNEL_VERSIONS.map((kernel) => [kernel, studyLifeOfFault({ kernel })]));
function stepsOf(kernel: KernelVersion): readonly FaultStep[] {
  return studies.get(kernel)?.steps ?? [];
}

describe.each(KERNEL_VERSIONS)("the life of a fault on Linux %s", (kernel) => {
  const steps = stepsOf(kernel);
  const { mmio, generation, nonPresent, ram } = formatOf(kernel);

  it("has 15 steps, each of which begins where the one before it ended", () => {
    expect(steps.map(({ number }) => number)).toEqual(Array.from({ length: 15 }, (_, index) => index + 1));
    expect(steps.slice(1).map(({ before }) => before.spte)).toEqual(
      steps.slice(0, -1).map(({ after }) => after.spte),
    );
    const ioctls = steps.filter(({ by }) => by === "ioctl").map(({ what }) => what);
    expect(ioctls).toEqual([
      "assign ioeventfd at A",
      "add memslot at B",
      "add memslot at A",
      "delete memslot at A",
    ]);
  });

  it("begins with a violation, which installs the MMIO SPTE and emulates the store for userspace", () => {
    const { before, after, exits, counts, userspace, signals } = steps[FIRST];
    expect(before).toEqual({ spte: hex16(nonPresent), state: "not present" });
    expect(after).toEqual({ spte: hex16(mmio(GFN, generation)), state: "MMIO" });
    expect([exits, userspace, signals]).toEqual([["EPT_VIOLATION"], true, 0]);
    expect(counts).toMatchObject({ exitEptViolation: 1, emulateInstruction: 1, userspaceExitMmio: 1 });
    // Two tables and the leaf.
    expect(counts.spteInstall).toBe(3);
  });

  it("goes on with a misconfiguration that reads no SPTE: the vCPU remembers the page", () => {
    const { exits, counts, userspace } = steps[SECOND];
    expect([exits, userspace]).toEqual([["EPT_MISCONFIG"], true]);
    expect(counts).toMatchObject({ emulateInstruction: 1 });
    expect(counts).not.toHaveProperty("mmioSpteWalk");
    expect(counts).not.toHaveProperty("spteInstall");
  });

  it("maps the new memory at last, and from then on neither exits nor signals", () => {
    const { before, after, exits, counts, userspace, signals } = steps[NATIVE];
    expect(before).toEqual(after);
    expect(after.state).toBe("memory");
    expect(hex16(BigInt(after.spte) & ~ADDRESS_BITS)).toBe(hex16(ram));
    expect([exits, userspace]).toEqual([[], false]);
    expect(counts).toEqual({ dtlbHit: 1, dataRefL1: 1 });
    expect(signals).toBe(steps[RAM].signals);
  });

  it("loses every mapping with the deleted memslot: the guest's own tables fault before A does", () => {
    expect(steps[DELETE].counts).toMatchObject({ zapAllPages: 1, synchronizeSrcu: 2 });
    expect(steps[DELETE].after).toEqual({ spte: hex16(nonPresent), state: "not present" });
    const { exits, events, after } = steps[FIRST_AGAIN];
    expect(exits).toEqual(["EPT_VIOLATION", "EPT_VIOLATION"]);
    const faults = events.flatMap((line) => /address (?:0x0*)?([0-9a-f]+)/.exec(line)?.[1] ?? []);
    expect(faults).toEqual(["3ff000", "febf0800"]);
    expect(after).toEqual({ spte: hex16(mmio(GFN, generation + 8n)), state: "MMIO" });
    expect(steps[LAST].exits).toEqual(["EPT_MISCONFIG"]);
  });

  it("traces as ftrace text: each line an event of that kernel, each event in its step", () => {
    const { ftrace = "" } = studies.get(kernel) ?? {};
    expect(ftrace).toMatch(/^# SIMULATED by exitlab/);
    const parsed = [...parseFtrace(ftrace)];
    expect(parsed.filter((line) => line.kind !== "event" || line.event === undefined)).toEqual([]);
    expect(steps.flatMap(({ events }) => events)).toEqual(parsed.map(({ raw }) => raw));
    for (const { events, exits } of steps) {
      expect(events.filter((line) => line.includes(": kvm_exit: "))).toHaveLength(exits.length);
    }
    // The text itself says which events are those of a step.
    expect(ftrace).toContain(`\n# 1. store at A: 1 to ${steps[FIRST].events.length}\n`);
    expect(ftrace).toContain("\n# 12. store at A: none\n");
  });

  it("is the same every time, and survives JSON", () => {
    const study = studyLifeOfFault({ kernel });
    expect(study).toEqual(studies.get(kernel));
    expect(JSON.parse(JSON.stringify(study))).toEqual(study);
    expect(study.provenance).toMatchObject({ seed: 1, model: expect.stringMatching(/^[0-9a-f]{8}$/) });
  });
});

describe.each(KERNEL_VERSIONS.filter((kernel) => kernel !== "v3.9"))(
  "the generation on Linux %s",
  (kernel) => {
    const steps = stepsOf(kernel);
    const { generation } = formatOf(kernel);

    it("counts the generation by 2 for a new memslot, by 4 for a deleted one, and not for an ioeventfd", () => {
      const changes = steps
        .slice(1)
        .map((step, index) => Number(BigInt(step.generation) - BigInt(steps[index].generation)));
      expect(steps[FIRST].generation).toBe(`0x${generation.toString(16)}`);
      expect(changes.flatMap((change, index) => (change === 0 ? [] : [[index + 1, change]]))).toEqual([
        [ADD_B, 2],
        [ADD_A, 2],
        [DELETE, 4],
      ]);
    });

    it("makes the SPTE stale by a memslot elsewhere, and changes no bit of it", () => {
      const { before, after, exits, counts } = steps[ADD_B];
      expect([before.state, after.state]).toEqual(["MMIO", "MMIO, stale"]);
      expect(after.spte).toBe(before.spte);
      expect(exits).toEqual([]);
      expect(counts).toEqual({ synchronizeSrcu: 1 });
    });
  },
);

describe.each(KERNEL_VERSIONS.filter((kernel) => kernel !== "v3.9"))(
  "the fast MMIO bus of Linux %s",
  (kernel) => {
    const steps = stepsOf(kernel);
    const { mmio, generation } = formatOf(kernel);

    it.each([
      ["a kick", KICK],
      ["a load, which the exit does not tell from a store", LOAD],
      ["a kick under a stale generation", STALE_KICK],
      ["a kick though memory is there by now", RAM_KICK],
      ["a kick after the zap", LAST],
    ])("takes %s: one exit, one lookup, one signal, no emulation, no SPTE touched", (_, index) => {
      const { exits, counts, before, after, userspace, signals } = steps[index];
      expect([exits, userspace]).toEqual([["EPT_MISCONFIG"], false]);
      expect(counts).toMatchObject({ ioBusLookup: 1, eventfdSignal: 1, skipEmulatedInstruction: 1 });
      for (const absent of ["emulateInstruction", "guestWalkInSoftware", "mmioSpteWalk", "spteInstall"])
        expect(counts).not.toHaveProperty(absent);
      expect(after).toEqual(before);
      expect(signals).toBe(steps[index - 1].signals + 1);
    });

    it("takes an ioeventfd of length 0", () => {
      expect(studies.get(kernel)?.eventfdLength).toBe(0);
      // On two buses; from v6.19 on nobody waits for those who still search the old ones.
      expect(steps[ASSIGN].counts.synchronizeSrcu).toBe(kernel === "v6.19" ? undefined : 2);
    });

    it("leaves it to a store beside the eventfd to notice the stale SPTE, which is marked anew", () => {
      const { exits, counts, before, after, userspace } = steps[STALE];
      expect([exits, userspace]).toEqual([["EPT_MISCONFIG"], true]);
      expect(counts).toMatchObject({
        mmioSpteWalk: 1,
        tdpPageFault: 1,
        spteInstall: 1,
        emulateInstruction: 1,
      });
      expect(before).toEqual({ spte: hex16(mmio(GFN, generation)), state: "MMIO, stale" });
      expect(after).toEqual({ spte: hex16(mmio(GFN, generation + 2n)), state: "MMIO" });
    });

    it("leaves it to a store beside the eventfd to find the memory, which the store then reaches", () => {
      const { exits, counts, before, after, userspace } = steps[RAM];
      expect([exits, userspace]).toEqual([["EPT_MISCONFIG"], false]);
      expect(counts).toMatchObject({ mmioSpteWalk: 1, tdpPageFault: 1, spteInstall: 1, dataRefDram: 1 });
      expect(counts).not.toHaveProperty("emulateInstruction");
      expect([before.state, after.state]).toEqual(["MMIO, stale", "memory"]);
    });

    it("is not asked by a first touch: whether that signals is the MMIO bus's matter, which v4.2 has wrong", () => {
      const { counts, userspace, signals } = steps[FIRST_AGAIN];
      expect(counts).toMatchObject({ ioBusLookup: 1, emulateInstruction: 1 });
      expect([userspace, signals - steps[DELETE].signals]).toEqual(
        kernel === "v4.2" ? [true, 0] : [false, 1],
      );
    });

    it("is in the trace from v6.19 on", () => {
      const named = steps[KICK].events.filter((line) =>
        line.includes("kvm_fast_mmio: fast mmio at gpa 0xfebf0800"),
      );
      expect(named).toHaveLength(kernel === "v6.19" ? 1 : 0);
      expect(steps[KICK].events).toHaveLength(kernel === "v6.19" ? 3 : 2);
    });
  },
);

describe("without a fast MMIO bus, on Linux v3.9", () => {
  const steps = stepsOf("v3.9");

  it("the ioeventfd has the length of the store, and every signal is an emulation", () => {
    expect(studies.get("v3.9")?.eventfdLength).toBe(4);
    for (const { counts } of steps)
      expect(counts.emulateInstruction ?? 0).toBeGreaterThanOrEqual(counts.eventfdSignal ?? 0);
    expect(steps.map(({ signals }) => signals)).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 3, 4]);
  });

  it("a load goes to userspace, for the MMIO bus tells it from a store", () => {
    expect(steps[LOAD]).toMatchObject({ userspace: true, counts: { emulateInstruction: 1 } });
  });

  it("an MMIO SPTE holds no generation: every new memslot drops it with the rest, and the next store faults anew", () => {
    expect(new Set(steps.map(({ generation }) => generation))).toEqual(new Set(["none"]));
    for (const index of [ADD_B, ADD_A]) {
      expect(steps[index].counts).toMatchObject({ zapAllPages: 1, synchronizeSrcu: 1 });
      expect(steps[index].after.state).toBe("not present");
    }
    expect(steps[STALE_KICK].exits.at(-1)).toBe("EPT_VIOLATION");
    expect([steps[STALE_KICK].after.state, steps[RAM_KICK].after.state]).toEqual(["MMIO", "memory"]);
    expect(steps[RAM].exits).toEqual([]);
  });
});

describe("the options", () => {
  it("take another address, also as text, and another processor", () => {
    const { address, steps, machine } = studyLifeOfFault({ address: "0x240000010", cpu: "lynnfield-i7-860" });
    expect(address).toBe(0x2_4000_0010);
    expect(machine).toContain("i7-860");
    expect(steps[FIRST].after.spte).toBe(hex16(mmio4_2(0x24_0000n, OLD.generation)));
    expect(steps[LAST].signals).toBe(5);
  });

  it.each([
    ["kernel", { kernel: "v5.0" }, '"v5.0" is not allowed; allowed: one of v3.9, v4.2, v4.2.8, v6.19'],
    ["cpu", { cpu: "486" }, '"486" is not allowed; allowed: one of'],
    [
      "address",
      { address: 0x1000 },
      "4096 is not allowed; allowed: guest-physical address in bytes, a multiple of 16",
    ],
    [
      "address",
      { address: 0xfebf_0808 },
      "is not allowed; allowed: guest-physical address in bytes, a multiple of 16",
    ],
    ["address", { address: 2 ** 46 }, "0x400000000000 is not allowed; allowed: addresses below"],
    ["address", { address: 0xfee0_0300 }, "0xfee00300 is not allowed; allowed: addresses below"],
    ["addr", { addr: 0xfebf_0800 }, "is an unknown field; allowed: kernel, cpu, address"],
  ])("refuse %s: %j", (field, options, message) => {
    const refused = () => studyLifeOfFault(options as LifeOfFaultOptions);
    expect(refused).toThrow(InputError);
    expect(refused).toThrow(`studyLifeOfFault: ${field}: `);
    expect(refused).toThrow(message);
  });
});
