/** Counts of page walks, with a made-up kernel in place of perf_event_open(2), and the file of events. */
import { describe, expect, it } from "vitest";
import { describeMachine, type HostMachine } from "../../src/host/machine.js";
import { PerfEvents, pmuEventsOf } from "../../src/host/perf-events.js";
import { SystemCallError } from "../../src/host/system-call-error.js";
import { X86_PRIMITIVES } from "../../src/x86/ledger.js";
import { pmuView } from "../../src/x86/pmu.js";

const NOWHERE: HostMachine = describeMachine("/nowhere");
const processor = (vendor: string, family: number, model: number): HostMachine => ({
  ...NOWHERE,
  vendor,
  family,
  model,
});
const HASWELL = processor("GenuineIntel", 6, 0x3f);
const ICE_LAKE = processor("GenuineIntel", 6, 0x6a);

const EACCES = 13;
const ENOENT = 2;
const EINVAL = 22;

/** A kernel with counters: an open event counts as many as its code while its group is enabled, for 1 ms a time. */
class Counters {
  /** By descriptor: what was asked for. */
  readonly opened = new Map<
    number,
    { attr: DataView; tid: number; cpu: number; group: number; flags: number }
  >();
  private readonly times = new Map<number, { enabled: bigint; running: bigint }>();
  private next = 10;

  /**
   * @param refuse errno of an event by its code, 0 to open it
   * @param share of the time in which a group is on the counters, by its first event's code
   */
  constructor(
    private readonly refuse: (config: number) => number = () => 0,
    private readonly share: (config: number) => number = () => 1,
  ) {}

  syscall(number: number, ...args: (number | bigint | Uint8Array)[]): bigint {
    if (number === 298) return this.perfEventOpen(...(args as [Uint8Array, number, number, number, number]));
    const [fd, request, group] = args as number[];
    expect(number).toBe(16);
    expect(group).toBe(1);
    if (request === 0x2400) this.enable(fd);
    else expect(request).toBe(0x2401);
    return 0n;
  }

  read(fd: number, bytes: Uint8Array): number {
    const group = [...this.opened].filter(([member, { group }]) => member === fd || group === fd);
    const { enabled, running } = this.times.get(fd) ?? { enabled: 0n, running: 0n };
    const values = group.map(([, { attr }]) => (BigInt(this.config(attr)) * running) / 1_000_000n);
    const words = new BigUint64Array([BigInt(group.length), enabled, running, ...values]);
    bytes.set(new Uint8Array(words.buffer));
    return bytes.length;
  }

  close(fd: number): void {
    expect(this.opened.delete(fd)).toBe(true);
  }

  private perfEventOpen(bytes: Uint8Array, tid: number, cpu: number, group: number, flags: number): bigint {
    const attr = new DataView(bytes.slice().buffer);
    const errno = this.refuse(this.config(attr));
    if (errno !== 0) throw new SystemCallError(errno, "syscall 298");
    this.opened.set(this.next, { attr, tid, cpu, group, flags });
    return BigInt(this.next++);
  }

  private enable(fd: number): void {
    const { enabled, running } = this.times.get(fd) ?? { enabled: 0n, running: 0n };
    const share = this.share(this.config((this.opened.get(fd) as { attr: DataView }).attr));
    this.times.set(fd, {
      enabled: enabled + 1_000_000n,
      running: running + BigInt(Math.round(1e6 * share)),
    });
  }

  private config(attr: DataView): number {
    return Number(attr.getBigUint64(8, true));
  }
}

describe("the events of page walks", () => {
  it.each([
    ["GenuineIntel", 6, 0x3f, "Haswell", "page_walker_loads.ept_dtlb_l1", 0xbc, 0x41],
    ["GenuineIntel", 6, 0x4f, "Broadwell", "dtlb_load_misses.walk_duration", 0x08, 0x10],
    ["GenuineIntel", 6, 0x55, "Skylake", "ept.walk_pending", 0x4f, 0x10],
    ["GenuineIntel", 6, 0x6a, "Ice Lake", "dtlb_store_misses.walk_completed", 0x49, 0x0e],
    ["GenuineIntel", 6, 0x8f, "Sapphire Rapids", "dtlb_store_misses.walk_completed", 0x13, 0x0e],
    ["AuthenticAMD", 0x17, 0x01, "Zen 1", "l2_dtlb_misses", 0x45, 0xf0],
    ["AuthenticAMD", 0x17, 0x31, "Zen 2", "ls_tablewalker.dside", 0x46, 0x03],
    ["AuthenticAMD", 0x19, 0x01, "Zen 3", "l2_dtlb_misses", 0x45, 0xf0],
    ["AuthenticAMD", 0x19, 0x11, "Zen 4", "ls_l1_d_tlb_miss.all_l2_miss", 0x45, 0xf0],
    ["AuthenticAMD", 0x1a, 0x02, "Zen 5", "ls_l1_d_tlb_miss.tlb_reload_4k_l2_miss", 0x45, 0x10],
  ])(
    "of %s family %i model %i are those of %s, with %s",
    (vendor, family, model, name, event, select, umask) => {
      const events = pmuEventsOf({ vendor, family, model });
      expect(events?.name).toBe(name);
      expect(events?.groups.flat()).toContainEqual({ name: event, event: select, umask });
    },
  );

  it("on Haswell have names of which the simulated PMU has all but the cycles", () => {
    const simulated = Object.keys(pmuView(Object.fromEntries(X86_PRIMITIVES.map((name) => [name, 0]))));
    const names =
      pmuEventsOf(HASWELL)
        ?.groups.flat()
        .map(({ name }) => name) ?? [];
    expect(names.filter((name) => !simulated.includes(name))).toEqual([
      "dtlb_load_misses.walk_duration",
      "dtlb_store_misses.walk_duration",
      "ept.walk_cycles",
    ]);
  });

  it("are not known of a processor that the data does not have", () => {
    expect(pmuEventsOf({ vendor: "GenuineIntel", family: 6, model: 0x2d })).toBeUndefined();
    expect(pmuEventsOf(NOWHERE)).toBeUndefined();
  });
});

describe("counting page walks", () => {
  it("opens a group for a thread on any CPU, disabled, and of its guest alone", () => {
    const kernel = new Counters();
    new PerfEvents(ICE_LAKE, 1234, () => kernel);
    const [leader, ...others] = [...kernel.opened.values()];
    expect(leader).toMatchObject({ tid: 1234, cpu: -1, group: -1, flags: 8 });
    expect(others.map(({ group }) => group)).toEqual([10, 10, 10]);
    expect(leader.attr.getUint32(0, true)).toBe(4);
    expect(leader.attr.getUint32(4, true)).toBe(64);
    expect(leader.attr.getBigUint64(8, true)).toBe(0x0e08n);
    const disabled = 1n;
    const excludeHost = 1n << 19n;
    expect(leader.attr.getBigUint64(40, true)).toBe(disabled | excludeHost);
    for (const { attr } of others) expect(attr.getBigUint64(40, true)).toBe(excludeHost);
  });

  it("counts from start to stop, each time anew", () => {
    const kernel = new Counters();
    const events = new PerfEvents(ICE_LAKE, 1, () => kernel);
    for (let round = 0; round < 2; round++) {
      events.start();
      expect(events.stop()).toEqual({
        counts: {
          "dtlb_load_misses.walk_completed": { count: 0x0e08, share: 1 },
          "dtlb_store_misses.walk_completed": { count: 0x0e49, share: 1 },
          "dtlb_load_misses.walk_pending": { count: 0x1008, share: 1 },
          "dtlb_store_misses.walk_pending": { count: 0x1049, share: 1 },
        },
        notes: [],
      });
    }
  });

  it("scales up what took turns on the counters, and says so", () => {
    const kernel = new Counters(undefined, (config) => (config === 0x0108 ? 0.25 : 1));
    const events = new PerfEvents(HASWELL, 1, () => kernel);
    events.start();
    const { counts, notes } = events.stop();
    expect(counts["dtlb_load_misses.walk_completed"]).toEqual({ count: 0x0e08, share: 0.25 });
    expect(counts["page_walker_loads.dtlb_l1"]).toEqual({ count: 0x11bc, share: 1 });
    expect(notes).toEqual([
      "counted 25% of the time, and scaled: dtlb_load_misses.miss_causes_a_walk, dtlb_load_misses.walk_completed, dtlb_store_misses.miss_causes_a_walk, dtlb_store_misses.walk_completed",
    ]);
  });

  it("leaves out what never came onto the counters, and says so", () => {
    const kernel = new Counters(undefined, () => 0);
    const events = new PerfEvents(ICE_LAKE, 1, () => kernel);
    events.start();
    const { counts, notes } = events.stop();
    expect(counts).toEqual({});
    expect(notes).toEqual([expect.stringMatching(/^not counted, for no counter was free: dtlb_load_misses/)]);
  });

  it("closes all it opened, also a group of which one event is refused", () => {
    const kernel = new Counters((config) => (config === 0x18bc ? EINVAL : 0));
    const events = new PerfEvents(HASWELL, 1, () => kernel);
    expect(kernel.opened.size).toBe(4 + 3 + 4);
    expect(events.notes).toEqual(["not all page walks are counted: perf_event_open: EINVAL"]);
    events.close();
    events.close();
    expect(kernel.opened.size).toBe(0);
  });
});

describe("where events cannot be opened", () => {
  const notes = (machine: HostMachine, errno: number) => {
    const kernel = new Counters(() => errno);
    const events = new PerfEvents(machine, 1, () => kernel);
    events.start();
    expect(events.stop()).toEqual({ counts: {}, notes: events.notes });
    return events.notes;
  };

  it("for a lack of rights, one line names the setting and what it takes", () => {
    expect(notes({ ...HASWELL, perfEventParanoid: 2 }, EACCES)).toEqual([
      "no page walks are counted: perf_event_open: EACCES; kernel.perf_event_paranoid is 2, and a guest's kernel mode takes 1 or CAP_PERFMON",
    ]);
  });

  it("for a lack of counters, it says so", () => {
    expect(notes(HASWELL, ENOENT)).toEqual([
      "no page walks are counted: perf_event_open: ENOENT; the kernel has no such counters of this processor",
    ]);
    expect(notes({ ...HASWELL, virtualized: { hypervisor: "QEMU" } }, ENOENT)[0]).toMatch(
      /as in most virtual machines$/,
    );
  });

  it("on a processor that is not known, it names it", () => {
    expect(new PerfEvents(processor("GenuineIntel", 6, 0x2d), 1).notes).toEqual([
      "no page walks are counted: the events of GenuineIntel family 6 model 45 are not known here",
    ]);
    expect(new PerfEvents(NOWHERE, 1).notes).toEqual([
      "no page walks are counted: what processor this is cannot be read",
    ]);
  });

  it("for a C library that cannot be called, it says why", () => {
    const events = new PerfEvents(HASWELL, 1, () => {
      throw new Error("koffi cannot be loaded");
    });
    expect(events.notes).toEqual(["no page walks are counted: koffi cannot be loaded"]);
  });

  it("on the machine that runs this test, nothing is thrown", () => {
    const events = new PerfEvents(describeMachine(), process.pid);
    try {
      events.start();
      const { counts, notes } = events.stop();
      expect(Object.keys(counts).length + notes.length).toBeGreaterThan(0);
    } finally {
      events.close();
    }
  });
});
