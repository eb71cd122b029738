/**
 * Page walks of a guest as this machine's performance-monitoring unit counts them, under the names of `perf list`, which
 * are those of x86/pmu.ts on Intel's processors. The kernel's interface is perf_event_open(2); `data/perf-events.json` has
 * the events' codes.
 *
 * Counted is what a thread of userspace lets its guest do, and nothing of the host: `exclude_host`. The guests here run in
 * kernel mode. What the counters count and the model does not: speculative accesses, walks for prefetches.
 */
import * as z from "zod";
import { address, list, readDataJson, record, text } from "../cost/input.js";
import { libc } from "./libc.js";
import type { HostMachine } from "./machine.js";
import { SystemCallError } from "./system-call-error.js";

const byte = (what: string) => address(0, 0xff, what);
const event = record({
  name: text("its name in perf list"),
  event: byte("event select"),
  umask: byte("unit mask"),
});
const perfEventsFile = record({
  about: text("what the file has"),
  processors: list(
    record({
      name: text("a name"),
      vendor: text("vendor of CPUID"),
      family: address(0, 0xfff, "family of CPUID"),
      models: list(
        z.union([byte("a model of CPUID"), z.tuple([byte("the first model"), byte("the last model")])]),
        "models and of their ranges",
      ),
      source: text("who says so"),
      groups: list(list(event, "events").min(1).max(4), "groups of 1 to 4 events"),
    }),
    "processors",
  ),
});

/** An event of a core. */
export type PmuEvent = z.infer<typeof event>;

/** What a kind of processor counts of page walks; the events of a group at the same time. */
export type PmuEvents = z.infer<typeof perfEventsFile>["processors"][number];

/** A count, and in what share of the time it was counted: below 1 the counters took turns, and the count is scaled up. */
export interface PerfCount {
  readonly count: number;
  readonly share: number;
}

export interface PerfCounts {
  /** By event name. */
  readonly counts: Readonly<Record<string, PerfCount>>;
  /** What was not counted or not all of the time, and why: a line each. */
  readonly notes: readonly string[];
}

/** The part of `libc()` that is needed. */
type SystemCalls = Pick<ReturnType<typeof libc>, "syscall" | "read" | "close">;

/** A group of events that is open: its descriptors, the first of which reads them all. */
interface Group {
  readonly events: readonly PmuEvent[];
  readonly fds: readonly number[];
}

/** What a group has counted since it was opened; times in nanoseconds. */
interface Reading {
  readonly enabled: bigint;
  readonly running: bigint;
  readonly values: readonly bigint[];
}

/** Numbers of system calls on x86-64. */
const SYS_IOCTL = 16;
const SYS_PERF_EVENT_OPEN = 298;

/** include/uapi/linux/perf_event.h: `struct perf_event_attr` in its first size, its flags, and the ioctls. */
const ATTR_BYTES = 64;
const PERF_TYPE_RAW = 4;
const PERF_FORMAT_TOTAL_TIMES_AND_GROUP = 0b1011n;
const ATTR_DISABLED = 1n << 0n;
const ATTR_EXCLUDE_HOST = 1n << 19n;
const PERF_FLAG_FD_CLOEXEC = 8;
const PERF_EVENT_IOC_ENABLE = 0x2400;
const PERF_EVENT_IOC_DISABLE = 0x2401;
const PERF_IOC_FLAG_GROUP = 1;

/** The events of this kind of processor, or undefined where the data has none. */
export function pmuEventsOf({
  vendor,
  family,
  model,
}: Pick<HostMachine, "vendor" | "family" | "model">): PmuEvents | undefined {
  const isModel = (of: number | readonly [number, number]) =>
    typeof of === "number" ? of === model : model !== null && of[0] <= model && model <= of[1];
  return readDataJson(perfEventsFile, "perf-events.json").processors.find(
    (of) => of.vendor === vendor && of.family === family && of.models.some(isModel),
  );
}

/** Counters of the page walks of a thread's guest. They stand still until they are started. */
export class PerfEvents {
  private readonly groups: Group[] = [];
  private readonly refused = new Set<string>();
  private started: readonly Reading[] = [];

  /**
   * Opens what there is. It throws nothing: what cannot be opened is a note, here and beside the counts.
   *
   * @param tid the thread that runs the vCPU
   */
  constructor(
    machine: HostMachine,
    tid: number,
    private readonly system: () => SystemCalls = libc,
  ) {
    const known = pmuEventsOf(machine);
    if (known === undefined) this.refused.add(unknownProcessor(machine));
    for (const events of known?.groups ?? []) {
      const fds: number[] = [];
      try {
        for (const event of events) fds.push(this.open(event, tid, fds[0] ?? -1));
        this.groups.push({ events, fds });
      } catch (error) {
        for (const fd of fds) this.system().close(fd);
        this.refused.add(refusal(error, machine));
      }
    }
  }

  /** What could not be opened, and why: a line each. */
  get notes(): readonly string[] {
    const what = this.groups.length === 0 ? "no page walks are counted" : "not all page walks are counted";
    return [...this.refused].map((why) => `${what}: ${why}`);
  }

  /** Whether anything is counted. */
  get isOpen(): boolean {
    return this.groups.length > 0;
  }

  /** Counts from here on. */
  start(): void {
    this.started = this.groups.map((group) => this.read(group));
    for (const { fds } of this.groups) this.control(fds[0], PERF_EVENT_IOC_ENABLE);
  }

  /** What was counted since `start()`. */
  stop(): PerfCounts {
    for (const { fds } of this.groups) this.control(fds[0], PERF_EVENT_IOC_DISABLE);
    const counts: Record<string, PerfCount> = {};
    const notes = [...this.notes];
    this.groups.forEach((group, at) => {
      const before = this.started[at];
      const after = this.read(group);
      const share = Number(after.running - before.running) / Number(after.enabled - before.enabled);
      if (!(share > 0)) {
        notes.push(`not counted, for no counter was free: ${namesOf(group)}`);
        return;
      }
      if (share < 1)
        notes.push(`counted ${Math.round(100 * share)}% of the time, and scaled: ${namesOf(group)}`);
      group.events.forEach(({ name }, event) => {
        counts[name] = { count: Number(after.values[event] - before.values[event]) / share, share };
      });
    });
    return { counts, notes };
  }

  close(): void {
    for (const { fds } of this.groups.splice(0)) for (const fd of fds) this.system().close(fd);
  }

  private open({ event, umask }: PmuEvent, tid: number, leader: number): number {
    const attr = new DataView(new ArrayBuffer(ATTR_BYTES));
    attr.setUint32(0, PERF_TYPE_RAW, true);
    attr.setUint32(4, ATTR_BYTES, true);
    attr.setBigUint64(8, BigInt(event + 256 * umask), true);
    attr.setBigUint64(32, PERF_FORMAT_TOTAL_TIMES_AND_GROUP, true);
    // The first event of a group starts and stops the others.
    attr.setBigUint64(40, ATTR_EXCLUDE_HOST | (leader === -1 ? ATTR_DISABLED : 0n), true);
    const bytes = new Uint8Array(attr.buffer);
    const anyCpu = -1;
    const args = [bytes, tid, anyCpu, leader, PERF_FLAG_FD_CLOEXEC] as const;
    return Number(this.system().syscall(SYS_PERF_EVENT_OPEN, ...args));
  }

  private control(leader: number, request: number): void {
    this.system().syscall(SYS_IOCTL, leader, request, PERF_IOC_FLAG_GROUP);
  }

  /** As `PERF_FORMAT_GROUP` has it: how many, time enabled, time running, values. */
  private read({ events, fds }: Group): Reading {
    const words = new BigUint64Array(3 + events.length);
    this.system().read(fds[0], new Uint8Array(words.buffer));
    const [, enabled, running, ...values] = words;
    return { enabled, running, values };
  }
}

function namesOf({ events }: Group): string {
  return events.map(({ name }) => name).join(", ");
}

function unknownProcessor({ vendor, family, model }: HostMachine): string {
  if (vendor === null || family === null || model === null) return "what processor this is cannot be read";
  return `the events of ${vendor} family ${family} model ${model} are not known here`;
}

/** Why the kernel opened no event, in a line. */
function refusal(error: unknown, { perfEventParanoid, virtualized }: HostMachine): string {
  if (!(error instanceof SystemCallError)) return (error as Error).message;
  const { code } = error;
  const said = `perf_event_open: ${code}`;
  if (code === "EACCES" || code === "EPERM")
    return `${said}; kernel.perf_event_paranoid is ${perfEventParanoid ?? "unknown"}, and a guest's kernel mode takes 1 or CAP_PERFMON`;
  if (code === "ENOENT" || code === "EOPNOTSUPP") {
    const guest = virtualized === null ? "" : ", as in most virtual machines";
    return `${said}; the kernel has no such counters of this processor${guest}`;
  }
  return said;
}
