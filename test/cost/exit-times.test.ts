import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseExitTimes } from "../../src/cost/exit-times.js";
import { InputError } from "../../src/cost/input.js";
import { printFtraceLine } from "../../src/kvm/ftrace.js";
import { KVM_ISA_SVM, KVM_ISA_VMX, type TraceEvent } from "../../src/kvm/trace.js";
import { printEvent, TRACE_FORMATS, type TraceFormat } from "../../src/kvm/trace-formats.js";

const parse = (text: string) => parseExitTimes(text, "trace.txt");

/** Of VMX. */
const CPUID = 10;
const HLT = 12;
const EPT_MISCONFIG = 49;

interface Where {
  readonly pid?: number;
  readonly cpu?: number;
  readonly vcpu?: number;
}

/** Prints events at times in seconds. */
function printer(kernel: TraceFormat) {
  const line = (time: string, event: TraceEvent, { pid = 1000, cpu = 0 }: Where) => {
    const columns = { task: "CPU 0/KVM", pid, cpu, flags: "....", timestampText: time };
    return printFtraceLine({ ...columns, name: event.event, text: printEvent(event, kernel) }, kernel);
  };
  return {
    exit: (time: string, exitReason: number, where: Where = {}, isa: 1 | 2 = KVM_ISA_VMX) => {
      const more = { vcpuId: where.vcpu ?? 0, intrInfo: 0, errorCode: 0, requests: 0 };
      const event = { exitReason, isa, guestRip: 0x1000, info1: 0, info2: 0, ...more };
      return line(time, { event: "kvm_exit", ...event }, where);
    },
    entry: (time: string, where: Where = {}) =>
      line(
        time,
        { event: "kvm_entry", vcpuId: where.vcpu ?? 0, rip: 0x1000, intrInfo: 0, errorCode: 0 },
        where,
      ),
    userspace: (time: string, where: Where = {}) =>
      line(time, { event: "kvm_userspace_exit", reason: 6, errno: 0 }, where),
    other: (time: string, where: Where = {}) =>
      line(time, { event: "kvm_fast_mmio", gpa: 0xfebf0000 }, where),
  };
}

const { exit, entry, userspace, other } = printer("v6.19");

const trace = (...lines: string[]) => lines.map((line) => `${line}\n`).join("");

/** Samples and mean by reason, and how many exits are left out and why. */
function means(text: string) {
  const { exits, withoutEntry, amidLostEvents } = parse(text);
  const known = exits.map(({ reason, samples, meanUs }) => [reason, samples, meanUs]);
  return { exits: known, withoutEntry, amidLostEvents };
}

describe("the times of exits", () => {
  it("are from kvm_exit to the next kvm_entry of the thread, by reason", () => {
    const text = trace(
      "# tracer: nop",
      "cpus=2",
      exit("12.000100", EPT_MISCONFIG),
      other("12.000101"),
      entry("12.000102"),
      exit("12.000110", EPT_MISCONFIG),
      userspace("12.000111"),
      entry("12.000116"),
      exit("12.000120", CPUID),
      entry("12.000121"),
    );
    expect(parse(text)).toEqual({
      exits: [
        {
          reason: "EPT_MISCONFIG",
          samples: 2,
          timesUs: [2, 6],
          meanUs: 4,
          // Deviations of 2 from the mean: sqrt((4 + 4) / (2 - 1) / 2).
          standardErrorUs: 2,
          minUs: 2,
          maxUs: 6,
          resolutionUs: 1,
          withUserspace: 1,
          // Two exits, an event in each.
          meanEvents: 2,
        },
        {
          reason: "CPUID",
          samples: 1,
          timesUs: [1],
          meanUs: 1,
          standardErrorUs: null,
          minUs: 1,
          maxUs: 1,
          resolutionUs: 1,
          withUserspace: 0,
          meanEvents: 1,
        },
      ],
      withoutEntry: 0,
      amidLostEvents: 0,
    });
  });

  it("are exact to the nanosecond if the trace is, at any time of the host's clock", () => {
    const [hlt] = parse(trace(exit("1764324000.999999999", HLT), entry("1764324001.000000123"))).exits;
    expect([hlt.meanUs, hlt.resolutionUs]).toEqual([0.124, 0.001]);
  });

  it.each(TRACE_FORMATS)("are read from the text of %s", (kernel) => {
    const print = printer(kernel);
    const text = trace(
      print.exit("1.000001", EPT_MISCONFIG),
      print.userspace("1.000002"),
      print.entry("1.000009"),
    );
    expect(parse(text).exits).toMatchObject([{ reason: "EPT_MISCONFIG", meanUs: 8, withUserspace: 1 }]);
  });

  it("of SVM have the kernel's names, and those without a name their number", () => {
    const text = trace(
      exit("1.000001", 0x400, {}, KVM_ISA_SVM),
      entry("1.000002"),
      "CPU 0/KVM-1000 [000] 1.000003: kvm_exit: reason 0x5a rip 0x1000 info 0 0",
      entry("1.000004"),
    );
    expect(parse(text).exits.map(({ reason }) => reason)).toEqual(["npf", "0x5a"]);
  });

  it("are paired thread by thread, also when a thread moves to another CPU", () => {
    const one = { pid: 1000, cpu: 0, vcpu: 0 };
    const two = { pid: 1001, cpu: 1, vcpu: 1 };
    const text = trace(
      exit("1.000001", HLT, one),
      exit("1.000002", CPUID, two),
      entry("1.000005", two),
      entry("1.000011", { ...one, cpu: 3 }),
    );
    expect(means(text).exits).toEqual([
      ["CPUID", 1, 3],
      ["HLT", 1, 10],
    ]);
  });

  it("leave out exits without an entry of their vCPU, and count them", () => {
    const text = trace(
      entry("1.000001"),
      exit("1.000002", CPUID),
      exit("1.000003", CPUID),
      entry("1.000005"),
      exit("1.000006", HLT),
      entry("1.000007", { vcpu: 1 }),
      entry("1.000008"),
      exit("1.000009", HLT),
    );
    expect(means(text)).toEqual({ exits: [["CPUID", 1, 2]], withoutEntry: 3, amidLostEvents: 0 });
  });
});

describe("lost events", () => {
  const one = { pid: 1000, cpu: 0, vcpu: 0 };
  const two = { pid: 1001, cpu: 1, vcpu: 1 };

  it.each(["CPU:0 [LOST 7 EVENTS]", "CPU:0 [LOST EVENTS]", "CPU:0 [7 EVENTS DROPPED]"])(
    "void the exit that was open: %s",
    (note) => {
      const lines = [
        exit("1.000001", HLT),
        note,
        entry("1.000009"),
        exit("1.000010", CPUID),
        entry("1.000012"),
      ];
      expect(means(trace(...lines))).toEqual({
        exits: [["CPUID", 1, 2]],
        withoutEntry: 0,
        amidLostEvents: 1,
      });
    },
  );

  it("void what was open while a CPU lost them: a thread may have come back from there before the note", () => {
    const text = trace(
      exit("1.000001", CPUID, two),
      entry("1.000002", two),
      exit("1.000003", HLT, one),
      // On CPU 1, the entry of this exit and the next exit may be among the lost.
      entry("1.000008", one),
      "CPU:1 [LOST 2 EVENTS]",
      exit("1.000009", CPUID, two),
      entry("1.000010", two),
    );
    expect(means(text)).toEqual({ exits: [["CPUID", 2, 1]], withoutEntry: 0, amidLostEvents: 1 });
  });

  it("of a CPU not seen before void all exits before", () => {
    const text = trace(
      exit("1.000001", CPUID, one),
      entry("1.000002", one),
      "CPU:1 [LOST EVENTS]",
      other("1.000003", two),
    );
    expect(() => parse(text)).toThrow("trace.txt: has no kvm_exit with its kvm_entry");
  });

  it("leave pairs before them and after them", () => {
    const pair = (second: number) => [exit(`${second}.000001`, CPUID), entry(`${second}.000004`)];
    expect(means(trace(...pair(1), "CPU:0 [LOST 9 EVENTS]", ...pair(2)))).toEqual({
      exits: [["CPUID", 2, 3]],
      withoutEntry: 0,
      amidLostEvents: 0,
    });
    expect(means(trace(...pair(1), "CPU:1 is empty", ...pair(2))).exits).toEqual([["CPUID", 2, 3]]);
  });
});

describe("a trace", () => {
  const pair = trace(exit("1.000001", CPUID), entry("1.000004"));

  it.each([
    [
      "without exits",
      "# tracer: nop\n",
      "trace.txt: has no kvm_exit with its kvm_entry; allowed: a trace of both events",
    ],
    ["of nothing", "", "trace.txt: has no kvm_exit with its kvm_entry"],
    ["of an exit alone", trace(exit("1.000001", CPUID)), "trace.txt: has no kvm_exit with its kvm_entry"],
    ["whose last line is cut", pair.slice(0, -5), "trace.txt: line 2: "],
    [
      "whose last line has no end",
      pair.slice(0, -1),
      "is not allowed without a line end; allowed: whole lines",
    ],
    [
      "with a line of another kind",
      `${pair}perf record\n`,
      'line 3: "perf record" is not allowed; allowed: "<task>',
    ],
    [
      "with kvm_exit of an unknown format",
      `${pair}vcpu-1 [000] 1.000005: kvm_exit: TRAP: HSR_EC: 0x0016 (HVC64), PC: 0x1000\n`,
      "allowed: kvm_exit as KVM on x86 prints it in Linux 3.9 to 6.19",
    ],
    [
      "with kvm_entry of an unknown format",
      `${pair}vcpu-1 [000] 1.000005: kvm_entry: PC: 0x1000\n`,
      "allowed: kvm_entry as KVM on x86 prints it",
    ],
    ["in which time goes back", `${pair}${pair}`, "line 3: "],
    ["in which time goes back", `${pair}${pair}`, "allowed: events in the order of their times"],
    [
      "with times finer than nanoseconds",
      trace(exit("1.0000000001", CPUID)),
      "allowed: a time stamp of at most 9 digits",
    ],
  ])("%s is refused", (_, text, message) => {
    expect(() => parse(text)).toThrow(InputError);
    expect(() => parse(text)).toThrow(message);
  });
});

interface Step {
  readonly vcpu: number;
  readonly reason: number;
  readonly userspace: boolean;
  /** Nanoseconds until the next line of the trace, after the exit and after the return to userspace. */
  readonly handling: number;
  readonly waiting: number;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    vcpu: fc.nat(2),
    reason: fc.constantFrom(CPUID, HLT, EPT_MISCONFIG),
    userspace: fc.boolean(),
    handling: fc.nat(2e9),
    waiting: fc.nat(2000),
  }),
  { maxLength: 12 },
);
const NAMES = new Map([
  [CPUID, "CPUID"],
  [HLT, "HLT"],
  [EPT_MISCONFIG, "EPT_MISCONFIG"],
]);

interface Line {
  readonly text: string;
  /** What the entry in this line ends. */
  readonly ends?: { readonly reason: string; readonly us: number; readonly userspace: boolean };
}

/** A trace in which exits of several vCPUs follow each other: each is a line of exit, perhaps userspace, and entry. */
function lines(all: readonly Step[]): Line[] {
  let now = 3_999_999_000n;
  const stamp = () => `${now / 1_000_000_000n}.${String(now % 1_000_000_000n).padStart(9, "0")}`;
  return all.flatMap(({ vcpu, reason, userspace: toUserspace, handling, waiting }) => {
    const where = { pid: 1000 + vcpu, cpu: vcpu, vcpu };
    const printed: Line[] = [{ text: exit(stamp(), reason, where) }];
    now += BigInt(handling);
    if (toUserspace) {
      printed.push({ text: userspace(stamp(), where) });
      now += BigInt(waiting);
    }
    const us = (handling + (toUserspace ? waiting : 0)) / 1000;
    const ends = { reason: NAMES.get(reason) ?? "", us, userspace: toUserspace };
    printed.push({ text: entry(stamp(), where), ends });
    now += BigInt(waiting);
    return printed;
  });
}

/** Figures by reason of the exits that end in these lines, or undefined if there are none. */
function expected(of: readonly Line[]) {
  const ended = of.flatMap(({ ends }) => (ends === undefined ? [] : [ends]));
  if (ended.length === 0) return undefined;
  return [...new Set(ended.map(({ reason }) => reason))].map((reason) => {
    const exits = ended.filter((one) => one.reason === reason);
    const times = exits.map(({ us }) => us);
    return {
      reason,
      samples: exits.length,
      timesUs: times,
      minUs: Math.min(...times),
      maxUs: Math.max(...times),
      resolutionUs: 0.001,
      withUserspace: exits.filter((one) => one.userspace).length,
      meanEvents: (exits.length + exits.filter((one) => one.userspace).length) / exits.length,
    };
  });
}

/** What is parsed without mean and error, or undefined for an InputError. */
function outcome(text: string) {
  try {
    return parse(text).exits.map(({ meanUs, standardErrorUs, ...exit }) => {
      expect([meanUs >= exit.minUs - 1e-6, meanUs <= exit.maxUs + 1e-6]).toEqual([true, true]);
      expect(standardErrorUs === null).toBe(exit.samples === 1);
      return exit;
    });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return undefined;
  }
}

interface Event {
  readonly text: string;
  readonly time: number;
  readonly cpu: number;
  /** Of an entry: its exit's reason, which no other exit has, and time. */
  readonly reason?: string;
  readonly us?: number;
}

/** Traces of two threads, in which each event may be on another CPU. */
const wanderings = fc
  .array(
    fc.record({
      thread: fc.nat(1),
      guest: fc.integer({ min: 1, max: 50 }),
      host: fc.integer({ min: 1, max: 50 }),
    }),
    { minLength: 4, maxLength: 20 },
  )
  .chain((exits) =>
    fc.array(fc.nat(2), { minLength: 2 * exits.length, maxLength: 2 * exits.length }).map((cpus) => {
      const now = [0, 0];
      const stamp = (time: number) => `1.${String(time).padStart(6, "0")}`;
      const events = exits.flatMap(({ thread, guest, host }, index): Event[] => {
        const from = { pid: 1000 + thread, cpu: cpus[2 * index], vcpu: thread };
        const to = { ...from, cpu: cpus[2 * index + 1] };
        const start = now[thread] + guest;
        const end = start + host;
        now[thread] = end;
        const code = 0x100 + index;
        return [
          { text: exit(stamp(start), code, from), time: start, cpu: from.cpu },
          { text: entry(stamp(end), to), time: end, cpu: to.cpu, reason: `0x${code.toString(16)}`, us: host },
        ];
      });
      return events.toSorted((one, other) => one.time - other.time);
    }),
  );

/** The exits of a trace that may have none. */
function parseOrNone(text: string) {
  try {
    return parse(text).exits;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return [];
  }
}

const RUNS = { numRuns: 200, seed: 1 };

describe("any trace", () => {
  it("is read as it was printed", () => {
    fc.assert(
      fc.property(steps, (all) => {
        const printed = lines(all);
        expect(outcome(trace(...printed.map(({ text }) => text)))).toEqual(expected(printed));
      }),
      RUNS,
    );
  });

  it("that is cut behind a line gives the exits before, and within a line none", () => {
    fc.assert(
      fc.property(steps, fc.nat(), (all, at) => {
        const printed = lines(all);
        const text = trace(...printed.map(({ text }) => text));
        const cut = text.slice(0, at % (text.length + 1));
        const whole = printed.slice(0, cut.split("\n").length - 1);
        const atLine = cut === "" || cut.endsWith("\n");
        expect(outcome(cut)).toEqual(atLine ? expected(whole) : undefined);
      }),
      RUNS,
    );
  });

  it("that says where it lost lines has no wrong time, though threads move from CPU to CPU", () => {
    fc.assert(
      fc.property(
        wanderings,
        fc.nat(2),
        fc.nat(30),
        fc.integer({ min: 1, max: 8 }),
        (events, cpu, from, count) => {
          const isLost = (event: Event, index: number) =>
            event.cpu === cpu && index >= from && index < from + count;
          const note = events.findIndex((event, index) => event.cpu === cpu && index >= from + count);
          fc.pre(events.some(isLost) && note >= 0);
          const text = events.flatMap((event, index) => [
            ...(index === note ? [`CPU:${cpu} [LOST ${events.filter(isLost).length} EVENTS]`] : []),
            ...(isLost(event, index) ? [] : [event.text]),
          ]);
          const times = new Map(events.map(({ reason, us }) => [reason, us]));
          for (const { reason, samples, meanUs } of parseOrNone(trace(...text)))
            expect([reason, samples, meanUs]).toEqual([reason, 1, times.get(reason)]);
        },
      ),
      RUNS,
    );
  });

  it("with damage throws nothing but an InputError", () => {
    const piece = fc.oneof(
      fc.string({ maxLength: 4 }),
      fc.constantFrom("\n", " ", "-", "9", ":", "\0", "CPU:0 [LOST"),
    );
    fc.assert(
      fc.property(steps, fc.nat(), fc.nat(40), piece, (all, at, length, put) => {
        const text = trace(...lines(all).map(({ text }) => text));
        const start = at % (text.length + 1);
        const exits = outcome(text.slice(0, start) + put + text.slice(start + length));
        expect(exits === undefined || exits.length > 0).toBe(true);
      }),
      RUNS,
    );
  });

  it("that is garbage is refused by an InputError", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii", maxLength: 200 }), (text) => {
        expect(outcome(`${text}\n`)).toBeUndefined();
      }),
      RUNS,
    );
  });
});
