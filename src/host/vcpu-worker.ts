/** What runs in a `VcpuThread`: KVM_RUN and the answers to its exits, in a loop that ends as `RunOptions` say. */
import { constants } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { deviceByte } from "./device-model.js";
import { eventfdCount } from "./eventfd.js";
import { type GuestEnd, GuestError } from "./guest-error.js";
import { InterruptSignal } from "./interrupt-signal.js";
import { libc } from "./libc.js";
import { SystemCallError } from "./system-call-error.js";
import { KVM_EXIT_IO_OUT, KVM_EXITS, KVM_GET_REGS, KVM_RUN, KVM_RUN_OFFSETS as OFFSETS } from "./uapi.js";
import type { LentVcpu, RunEvent, RunOptions } from "./vcpu.js";
import type { Answer, Order, VcpuThreadOptions } from "./vcpu-thread.js";

const GETTID = 186;
const SCHED_SETAFFINITY = 203;

const { EINTR } = constants.errno;

const NAMES = new Map<number, string>(Object.entries(KVM_EXITS).map(([name, number]) => [number, name]));

class Run {
  private readonly page: DataView;
  private readonly events: RunEvent[] = [];
  private readonly exits: Record<string, number> = {};

  constructor(
    private readonly vcpu: LentVcpu,
    private readonly options: Omit<RunOptions, "eventfds">,
    private readonly eventfds: readonly number[],
  ) {
    this.page = pageOf(vcpu);
  }

  /** @throws GuestError, SystemCallError */
  execute(): Answer {
    const { limitMs } = this.options;
    const end = performance.now() + limitMs;
    signal.after(limitMs);
    try {
      for (;;) {
        if (enter(this.vcpu.fd)) {
          if (this.answerExit()) break;
        } else if (this.page.getUint8(OFFSETS.immediate_exit) === 1) {
          throw this.early("interrupted", "the guest was interrupted");
        } else if (performance.now() >= end) {
          throw this.early("time-limit", `the guest's limit of ${limitMs} ms is reached`);
        }
      }
    } finally {
      signal.disarm();
    }
    this.completeInstruction();
    this.readEventfds();
    return { answer: "ended", events: this.events, exits: this.exits };
  }

  /** Whether it was the last one. @throws GuestError */
  private answerExit(): boolean {
    const { page } = this;
    const reason = page.getUint32(OFFSETS.exit_reason, true);
    const name = NAMES.get(reason) ?? `exit reason ${reason}`;
    this.exits[name] = (this.exits[name] ?? 0) + 1;
    switch (reason) {
      case KVM_EXITS.KVM_EXIT_MMIO:
        this.answerMmio();
        return false;
      case KVM_EXITS.KVM_EXIT_IO:
        return this.answerIo();
      case KVM_EXITS.KVM_EXIT_SHUTDOWN:
        throw this.early("shutdown", `the guest shut down: a triple fault (${name})`);
      case KVM_EXITS.KVM_EXIT_INTERNAL_ERROR: {
        const suberror = page.getUint32(OFFSETS["internal.suberror"], true);
        throw this.early("internal-error", `${name}, suberror ${suberror}`);
      }
      case KVM_EXITS.KVM_EXIT_FAIL_ENTRY: {
        const why = page.getBigUint64(OFFSETS["fail_entry.hardware_entry_failure_reason"], true);
        throw this.early("internal-error", `${name}, hardware reason 0x${why.toString(16)}`);
      }
      default:
        throw this.early("unexpected-exit", `nothing answers ${name}`);
    }
  }

  private answerMmio(): void {
    const { page } = this;
    const gpa = Number(page.getBigUint64(OFFSETS["mmio.phys_addr"], true));
    const len = page.getUint32(OFFSETS["mmio.len"], true);
    const write = page.getUint8(OFFSETS["mmio.is_write"]) !== 0;
    if (!write) this.fill(OFFSETS["mmio.data"], gpa, len);
    if (this.options.recordExits !== true) return;
    this.events.push({ kind: "mmio", write, gpa, len, data: this.valueAt(OFFSETS["mmio.data"], len) });
  }

  private answerIo(): boolean {
    const { page } = this;
    const { stopPort, syncPort, recordExits } = this.options;
    const port = page.getUint16(OFFSETS["io.port"], true);
    const size = page.getUint8(OFFSETS["io.size"]);
    const count = page.getUint32(OFFSETS["io.count"], true);
    const write = page.getUint8(OFFSETS["io.direction"]) === KVM_EXIT_IO_OUT;
    if (write && port === stopPort) return true;
    if (write && port === syncPort) {
      this.readEventfds();
      this.events.push({ kind: "sync" });
      return false;
    }
    const at = Number(page.getBigUint64(OFFSETS["io.data_offset"], true));
    if (!write) for (let one = 0; one < count; one++) this.fill(at + one * size, port, size);
    if (recordExits === true)
      this.events.push({ kind: "io", write, port, size, count, data: this.valueAt(at, size) });
    return false;
  }

  /** KVM ends the instruction of an exit when it is entered again (api.rst, "KVM_RUN", the note on pending operations). */
  private completeInstruction(): void {
    this.page.setUint8(OFFSETS.immediate_exit, 1);
    enter(this.vcpu.fd);
  }

  private readEventfds(): void {
    this.eventfds.forEach((fd, eventfd) => {
      const count = eventfdCount(fd);
      if (count > 0) this.events.push({ kind: "signal", eventfd, count });
    });
  }

  private fill(at: number, address: number, bytes: number): void {
    for (let byte = 0; byte < bytes; byte++) this.page.setUint8(at + byte, deviceByte(address + byte));
  }

  private valueAt(at: number, bytes: number): bigint {
    let value = 0n;
    for (let byte = bytes - 1; byte >= 0; byte--)
      value = value * 256n + BigInt(this.page.getUint8(at + byte));
    return value;
  }

  private early(end: GuestEnd, detail: string): GuestError {
    const rip = end === "shutdown" ? null : BigInt(libc().ioctlRead(this.vcpu.fd, KVM_GET_REGS).rip);
    this.readEventfds();
    return new GuestError({ end, detail, rip, events: this.events });
  }
}

/** KVM_RUN. Returns false when a signal, or `immediate_exit`, ended it. */
function enter(fd: number): boolean {
  const result = libc().ioctlOrErrno(fd, KVM_RUN, 0);
  if (result >= 0) return true;
  if (result === -EINTR) return false;
  throw new SystemCallError(-result, KVM_RUN.name);
}

function pageOf({ address, bytes }: LentVcpu): DataView {
  return new DataView(libc().view(address, bytes));
}

/** KVM_RUN with `immediate_exit` set, timed by batches of calls. */
function immediateExits(vcpu: LentVcpu, batches: number, calls: number): Answer {
  pageOf(vcpu).setUint8(OFFSETS.immediate_exit, 1);
  const ns = new Float64Array(batches);
  for (let batch = 0; batch < batches; batch++) {
    const begin = process.hrtime.bigint();
    for (let call = 0; call < calls; call++) enter(vcpu.fd);
    ns[batch] = Number(process.hrtime.bigint() - begin) / calls;
  }
  return { answer: "times", ns };
}

/** What was asked for, or how the guest ended, or the system call that was refused. */
function answered(work: () => Answer): Answer {
  try {
    return work();
  } catch (error) {
    if (error instanceof GuestError) return { answer: "ended early", early: error.early };
    if (!(error instanceof SystemCallError)) throw error;
    return { answer: "refused", errno: error.errno, syscall: error.syscall };
  }
}

const parent = parentPort;
if (parent === null) throw new Error("this file is the program of a thread");

let signal: InterruptSignal;
parent.postMessage(
  answered(() => {
    const { cpu } = workerData as VcpuThreadOptions;
    const tid = Number(libc().syscall(GETTID));
    if (cpu !== undefined) {
      const mask = new Uint8Array(8 * (Math.floor(cpu / 64) + 1));
      mask[cpu >> 3] = 1 << (cpu & 7);
      libc().syscall(SCHED_SETAFFINITY, tid, mask.length, mask);
    }
    signal = new InterruptSignal(tid);
    return { answer: "ready", tid, timer: signal.timer };
  }),
);
parent.on("message", ({ vcpu, work }: Order) => {
  const answer = answered(() =>
    work.work === "run"
      ? new Run(vcpu, work.options, work.eventfds).execute()
      : immediateExits(vcpu, work.batches, work.calls),
  );
  parent.postMessage(answer);
});
