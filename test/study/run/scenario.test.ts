import { describe, expect, it } from "vitest";
import { run } from "../../../src/study/run/run.js";
import {
  ioeventfdsOf,
  parseScenario,
  type ScenarioInput,
  scenarioFields,
} from "../../../src/study/run/scenario.js";

const valid = {
  cpu: "sandy-bridge-ep",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x200000" }],
  workload: [{ op: "store", address: "0xfebf0800", size: 4 }],
  accesses: 100,
} as const;

describe("a scenario", () => {
  it("gets its defaults, and numbers for its hexadecimal addresses", () => {
    const scenario = parseScenario(valid);
    expect(scenario).toMatchObject({
      exitEvicts: "nothing",
      guestPages: "4K",
      warmup: 64,
      seed: 1,
      ioeventfds: [],
    });
    expect(scenario.memslots[0]).toEqual({
      gpa: 0,
      size: 0x20_0000,
      readonly: false,
      logDirtyPages: false,
      backing: "4K",
    });
    expect(scenario.workload[0].address).toBe(0xfebf_0800);
  });

  const circle: Record<string, unknown> = {};
  circle.circle = circle;
  const with_ = (change: object) => ({ ...valid, ...change });
  const slot = (change: object) => with_({ memslots: [{ ...valid.memslots[0], ...change }] });
  const access = (change: object) => with_({ workload: [{ ...valid.workload[0], ...change }] });
  const doorbells = (change: object) =>
    with_({ doorbells: { address: "0xfebf0000", ...change }, workload: [{ op: "kick" }] });

  it("stays as it is when it is parsed again", () => {
    for (const input of [
      valid,
      doorbells({ queues: 3 }),
      access({ pattern: "zipf", footprint: 64, burst: 4 }),
    ]) {
      const scenario = parseScenario(input);
      expect(parseScenario(JSON.parse(JSON.stringify(scenario)))).toEqual(scenario);
    }
  });

  it("describes each of its fields: what it may be, and its default", () => {
    const fields = new Map(scenarioFields().map((field) => [field.field, field]));
    expect(fields.get("cpu")).toMatchObject({
      default: "required",
      allowed: expect.stringMatching(/one of broadwell/),
    });
    expect(fields.get("doorbells.perPage")).toMatchObject({ default: "1" });
    expect(fields.get("workload[].stride")).toMatchObject({ default: "" });
    for (const { field, allowed } of fields.values()) expect([field, allowed]).not.toContain("an object");
  });

  it.each([
    [
      "an unknown field",
      with_({ kernal: "v4.2" }),
      /scenario: kernal: is an unknown field \(did you mean kernel\?\); allowed: name, cpu, kernel, patches/,
    ],
    [
      "a misspelt field that is required",
      { ...with_({}), kernel: undefined, kernal: "v4.2" },
      /scenario: kernal: is an unknown field \(did you mean kernel\?\)/,
    ],
    ["a number that is none", with_({ seed: Number.NaN }), /seed: NaN is not allowed/],
    ["a number of a kind that JSON lacks", with_({ seed: 7n }), /seed: 7n is not allowed/],
    ["a function", with_({ seed: () => 1 }), /seed: a function is not allowed/],
    [
      "an object in a circle",
      with_({ seed: circle }),
      /seed: an object that JSON cannot hold is not allowed/,
    ],
    ["an object with what JSON lacks", with_({ seed: { n: 7n } }), /seed: \{"n":"7n"\} is not allowed/],
    [
      "an unknown field inside",
      slot({ flags: 2 }),
      /memslots\[0\]\.flags: is an unknown field; allowed: name, gpa, size/,
    ],
    [
      "a missing field",
      with_({ accesses: undefined }),
      /scenario: accesses: is missing; allowed: number of guest instr/,
    ],
    [
      "an unknown kernel",
      with_({ kernel: "v7" }),
      /kernel: "v7" is not allowed; allowed: Linux of the host, one of v3.9, v4.2/,
    ],
    [
      "a negative size",
      slot({ size: -4096 }),
      /memslots\[0\]\.size: -4096 is not allowed; allowed: size in bytes, a multiple of 4096 from 4096 to/,
    ],
    ["an unaligned slot", slot({ gpa: 100 }), /memslots\[0\]\.gpa: 100 is not allowed; .*multiple of 4096/],
    [
      "overlapping slots",
      with_({ memslots: [valid.memslots[0], { gpa: 4096, size: 4096 }] }),
      /memslots\[1\]: 0x1000 to 0x1fff overlaps memslots\[0\], 0x0 to 0x1fffff/,
    ],
    [
      "an ioeventfd of length 3",
      with_({ ioeventfds: [{ addr: 0, len: 3 }] }),
      /ioeventfds\[0\]\.len: 3 is not allowed; allowed: length of the ioeventfd, 0 \(any length, from v4.2 on\), 1, 2, 4 or 8/,
    ],
    [
      "an access of 3 bytes",
      access({ size: 3 }),
      /workload\[0\]\.size: 3 is not allowed; allowed: bytes of the access \(by default 1, of doorbells their size\), 1, 2, 4, 8 or 16 bytes/,
    ],
    [
      "16 bytes for a mov",
      access({ size: 16 }),
      /workload\[0\]\.size: 16 is not allowed; allowed: 1, 2, 4 or 8 bytes/,
    ],
    [
      "an instruction that does not repeat repeated",
      access({ count: 2 }),
      /workload\[0\]\.count: 2 is not allowed; allowed: 1 for store, which does not repeat/,
    ],
    [
      "a port beyond 65535",
      access({ op: "out" }),
      /workload\[0\]\.address: 0xfebf0800 is not allowed; allowed: ports 0x0 to 0xffff/,
    ],
    ["nothing to do", access({ weight: 0 }), /workload: has no access of positive weight for vCPU 0/],
    [
      "no memory",
      with_({ memslots: [] }),
      /memslots: \[\] is not allowed; allowed: at least one memory slot/,
    ],
    [
      "MMIO caching off in a kernel that always has it",
      with_({ mmioCaching: false }),
      /mmioCaching: false is not allowed; allowed: true: v4.2 is older than the parameter, v6.19 has it/,
    ],
    [
      "mitigations in a kernel from before them",
      with_({ mitigations: "auto" }),
      /mitigations: "auto" is not allowed; allowed: "off": v4.2 is older than the parameter/,
    ],
    [
      "a negative weight",
      access({ weight: -1 }),
      /weight: -1 is not allowed; allowed: share of the instr.*, 0, or a/,
    ],
    [
      "neither workload nor recording",
      with_({ workload: [] }),
      /workload: has no access; allowed: at least one/,
    ],
    [
      "a workload beside a recording",
      with_({ recording: { file: "x", format: "lackey" } }),
      /workload: stands beside a recording/,
    ],
    [
      "an access of a vCPU that is not there",
      access({ vcpu: 1 }),
      /workload\[0\]\.vcpu: 1 is not allowed; allowed: 0 to 0, of 1/,
    ],
    [
      "a vCPU without anything to do",
      with_({ vcpus: 2, workload: [{ ...valid.workload[0], vcpu: 0 }] }),
      /workload: has no access of positive weight for vCPU 1/,
    ],
    [
      "a kick without doorbells",
      access({ op: "kick" }),
      /workload\[0\]\.op: "kick" is not allowed; .* no doorbells/,
    ],
    ["phases without a working set", access({ pattern: "phases" }), /workload\[0\]\.workingSet: is missing/],
    [
      "a working set beyond the footprint",
      access({ pattern: "phases", footprint: 64, workingSet: 128 }),
      /workingSet: 128 is not allowed; allowed: 4 bytes to the footprint, 64/,
    ],
    [
      "a chase of more places than memory holds",
      access({ op: "load", address: 0, pattern: "pointer-chase", footprint: 2 ** 30, stride: 4 }),
      /footprint: 1073741824 is not allowed; allowed: at most 67108864 places/,
    ],
    [
      "a fresh page of a port",
      access({ op: "out", address: 1, fresh: true }),
      /fresh: true is not allowed; allowed: false for out/,
    ],
    ["a skew of none", access({ skew: 0 }), /skew: 0 is not allowed; allowed: exponent of zipf, above 0/],
    [
      "doorbells that overlap",
      doorbells({ perPage: 1024, size: 8 }),
      /doorbells\.perPage: 1024 is not allowed; allowed: at most 512, for kicks of 8 bytes/,
    ],
    [
      "doorbells off the beginning of a page",
      doorbells({ address: 8 }),
      /doorbells\.address: "0x8" is not allowed/,
    ],
    ["doorbells that match any length", doorbells({ datamatch: 7 }), /doorbells\.len: 0 is not allowed/],
    [
      "a read-only slot over memory",
      doorbells({ address: 0x1000, slot: "read-only" }),
      /doorbells\.address: 0x1000 to 0x1fff overlaps memslots\[0\], 0x0 to 0x1fffff/,
    ],
    [
      "doorbells in memory",
      doorbells({ address: 0x1f_f000, queues: 2 }),
      /doorbells\.address: 0x1ff000 to 0x200fff overlaps memslots\[0\]/,
    ],
    [
      "doorbells beyond the processor's addresses",
      doorbells({ address: 2 ** 46 }),
      /doorbells\.address: 0x400000000000 to 0x400000000fff is not allowed; .*physical address width/,
    ],
    [
      "a kick of 8 bytes at a port",
      doorbells({ address: 0xc000, pio: true, size: 8 }),
      /doorbells\.size: 8 is not allowed; allowed: 1, 2 or 4 bytes for a port/,
    ],
    [
      "doorbells that match a flag",
      doorbells({ len: 2, datamatch: true }),
      /doorbells\.datamatch: true is not/,
    ],
    [
      "a pattern over nothing",
      access({ pattern: "uniform" }),
      /workload\[0\]\.footprint: is missing; .*for the pattern uniform/,
    ],
    ["a stride over nothing", access({ stride: 64 }), /workload\[0\]\.footprint: is missing; .*for a stride/],
    [
      "a kick with an address",
      { ...doorbells({}), workload: [{ op: "kick", address: 8 }] },
      /workload\[0\]\.address: 8 is not/,
    ],
    [
      "a read of a dirty log that nobody keeps",
      with_({ userspace: [{ action: "get-dirty-log", slot: 0, every: 9 }] }),
      /userspace\[0\]\.slot: 0 is/,
    ],
    [
      "an action on no slot",
      with_({ userspace: [{ action: "recreate-slot", slot: 1, every: 9 }] }),
      /userspace\[0\]\.slot: 1 is not allowed; .*0 to 0/,
    ],
    [
      "a precision that cannot be told",
      with_({ precision: {} }),
      /accesses: 100 is not allowed; allowed: at least 450560/,
    ],
    ["text for a number", with_({ accesses: "many" }), /accesses: "many" is not allowed/],
    ["no object at all", 7, /scenario: 7 is not allowed/],
  ])("with %s is refused with field, value and what is allowed", (_, input, message) => {
    expect(() => parseScenario(input)).toThrow(message);
  });

  it.each([
    ["address", 8],
    ["footprint", 1],
    ["stride", 8],
    ["count", 2],
    ["value", 1],
    ["pattern", "zipf"],
    ["fresh", true],
  ])("has no %s of an instruction without an operand", (name, value) => {
    for (const op of ["vmcall", "mov-cr3", "cpuid", "rdmsr", "wrmsr"]) {
      const input = with_({ workload: [{ op, size: 8, [name]: value }] });
      const found = `workload[0].${name}: ${JSON.stringify(value)} is not allowed; allowed: nothing: ${op} has no address`;
      expect(() => parseScenario(input)).toThrow(found);
    }
  });

  it("says what the defaults are that others decide", () => {
    const allowed = new Map(scenarioFields().map(({ field, allowed }) => [field, allowed]));
    expect(allowed.get("workload[].footprint")).toContain("by default size times count");
    expect(allowed.get("accesses")).toContain("at least 450560");
    expect(allowed.get("warmup")).toContain("by default 64, of a recording 0");
    expect(allowed.get("recording.file")).toContain("relative to the working directory");
  });

  it.each([
    [
      "doorbells of any length in a kernel from before them",
      { kernel: "v3.9" as const, doorbells: { address: "0xfebf0000" }, workload: [{ op: "kick" as const }] },
      /scenario: doorbells\.len: 0 is not allowed; allowed: what the kernel accepts \(EINVAL/,
    ],
    [
      "doorbells of any length at ports before v6.19",
      { doorbells: { address: "0xc000", pio: true }, workload: [{ op: "kick" as const }] },
      /scenario: doorbells\.len: 0 is not allowed; allowed: what the kernel accepts \(EINVAL/,
    ],
    [
      "a fetch from a device",
      { workload: [{ op: "fetch" as const, address: "0xfebf0000" }] },
      /scenario: workload\[0\] \(fetch at 0xfebf0000\): KVM stops vCPU 0: KVM_EXIT_INTERNAL_ERROR, EMULATION/,
    ],
    [
      "a fetch from a device, side by side",
      { vcpus: 2, workload: [{ op: "vmcall" as const }, { op: "fetch" as const, address: "0xfebf0000" }] },
      /workload\[1\] \(fetch at 0xfebf0000\).*: KVM stops vCPU [01]: KVM_EXIT_INTERNAL_ERROR/,
    ],
    [
      "a footprint whose page tables are larger than the memory",
      { workload: [{ op: "load" as const, address: "0x200000", footprint: 2 ** 40 }] },
      /workload\[0\]\.footprint: 1099511627776 is not allowed; .*memslots\[0\]: these take 525317 pages of its 512/,
    ],
    [
      "only read-only memory",
      { memslots: [{ gpa: 0, size: 4096, readonly: true }] },
      /memslots: all are read-only/,
    ],
    [
      "too little memory for the guest's tables",
      { memslots: [{ gpa: 0, size: 4096 }] },
      /memslots\[0\]\.size: 4096 is not allowed; allowed: a writable slot with room/,
    ],
    [
      "two eventfds for one write",
      {
        ioeventfds: [
          { addr: 8, len: 4 as const },
          { addr: 8, len: 0 as const },
        ],
      },
      /ioeventfds\[1\]: .*EEXIST/,
    ],
    [
      "accesses in the guest's tables",
      { workload: [{ op: "load" as const, address: 0x1f_f000 }] },
      /runs into the guest's page tables/,
    ],
  ])("with %s cannot be run", (_, change, message) => {
    expect(() => run({ ...valid, ...change })).toThrow(message);
  });
});

describe("an entry for several ioeventfds", () => {
  const several = (count: number) =>
    ioeventfdsOf(parseScenario({ ...valid, ioeventfds: [{ addr: "0xe0000000", len: 0, count, stride: 8 }] }));

  it("stands for as many, each a stride behind the one before", () => {
    expect(several(3).map(({ addr, len }) => [addr, len])).toEqual([
      [0xe000_0000, 0],
      [0xe000_0008, 0],
      [0xe000_0010, 0],
    ]);
  });

  it("may stand for none", () => expect(several(0)).toEqual([]));

  it("is named as it was written when one of them is refused", () => {
    const beside = (entry: ScenarioInput["ioeventfds"] & object) => ({
      ...valid,
      ioeventfds: [{ addr: "0xe0000000", len: 4, count: 3 } as const, ...entry],
    });
    expect(() => parseScenario(beside([{ addr: 0xfffe, len: 2, pio: true, count: 2, stride: 2 }]))).toThrow(
      "scenario: ioeventfds[1].addr: 0x10000 is not allowed; allowed: ports 0x0 to 0xffff",
    );
    expect(() => run(beside([{ addr: 0xe000_1000, len: 4 }]))).toThrow("ioeventfds[1]: ");
  });

  it("is complete as it is kept", () => {
    const scenario = parseScenario({ ...valid, ioeventfds: [{ addr: 64, len: 4, count: 2 }] });
    expect(parseScenario(scenario)).toEqual(scenario);
  });
});

describe("a run", () => {
  const random = {
    ...valid,
    workload: [
      { op: "load", address: 0, size: 8, footprint: 0x10_0000, pattern: "uniform" },
      { op: "store", address: "0xfebf0800", size: 4, weight: 0.1 },
    ],
    accesses: 5000,
  } as const;

  it("gives the same counts for the same seed", () => {
    expect(run({ ...random, seed: 7 })).toEqual(run({ ...random, seed: 7 }));
  });

  it("gives other counts for another seed when addresses are random", () => {
    expect(run({ ...random, seed: 7 }).counts).not.toEqual(run({ ...random, seed: 8 }).counts);
  });

  it("draws instructions by their weights", () => {
    const { exitEptMisconfig } = run(random).counts;
    expect(exitEptMisconfig).toBeGreaterThan(5000 * 0.07);
    expect(exitEptMisconfig).toBeLessThan(5000 * 0.11);
  });

  it("leaves the warm-up out of its counts and signals", () => {
    const { counts, signals } = run({ ...valid, ioeventfds: [{ addr: 0xfebf_0800, len: 0 }], warmup: 50 });
    expect([counts.exitEptMisconfig, counts.exitEptViolation, signals]).toEqual([100, 0, [100]]);
  });
});
