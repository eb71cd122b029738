/**
 * What a guest did, from KVM's events in ftrace text. One exit, from kvm_exit to the next kvm_entry of the vCPU, is one guest
 * instruction: its accesses to devices are replayed, and without any the access that its page fault was about.
 *
 * Events and their fields: `kvm/trace.ts`. An EPT misconfiguration that KVM served without an event, as kernels without
 * kvm_fast_mmio do for a zero-length ioeventfd, shows no address and is left out.
 */
import { exitReasonName } from "../../kvm/exit-reasons.js";
import { type ParsedEvent, type ParsedNote, parseFtraceLine } from "../../kvm/ftrace.js";
import type { KvmExit, KvmMmio, KvmPageFault, KvmPio, TraceEvent } from "../../kvm/trace.js";
import { faultOp, isNestedFault, isShadowFault, isStringIo, isVmcall } from "./exit.js";
import type { Line } from "./line.js";
import type { LineReader } from "./line-reader.js";
import {
  ABOVE_LINEAR,
  IN,
  INS,
  LINEAR_LIMIT,
  LOAD,
  MAX_SIZE,
  OUT,
  OUTS,
  type Output,
  STORE,
  VMCALL,
} from "./steps.js";
import { MAX_THREADS } from "./threads.js";

const ALLOWED =
  'a line of tracefs\' file trace or of trace-cmd report: a comment (#), a note like "cpus=2", or an event "<task>-<pid> [<cpu>] <flags> <seconds>.<fraction>: <event>: <text>"';

/** KVM does not look at how much a fast MMIO writes; a virtio queue is notified with 2 bytes. */
const FAST_MMIO_SIZE = 2;
/** The event of a page fault tells no size. */
const FAULT_SIZE = 1;

const PHYSICAL_LIMIT = 2 ** 52;
const MAX_PORT = 0xffff;
/** Iterations of one kvm_pio: KVM emulates string I/O through a buffer of a page. */
const MAX_COUNT = 4096;

const SHADOW_NOTE =
  "the host shadows the guest's page tables: addresses of page faults are linear, and replayed as they are";

/** The thread of a vCPU, and what is known of the exit that it is in. */
class Task {
  exit: KvmExit | undefined;
  fault: KvmPageFault | undefined;
  /** An access of the exit has been replayed. */
  accessed = false;
  /** A read that userspace has still to answer. */
  unsatisfied: KvmMmio | undefined;

  constructor(public vcpu: number) {}
}

export class FtraceReader implements LineReader {
  /** By process number. */
  private readonly tasks = new Map<number, Task>();
  /** By the vCPU's number, where an event has told it. */
  private readonly vcpus = new Map<number, Task>();

  constructor(private readonly output: Output) {}

  line(line: Line): void {
    const { leftOut, notes } = this.output;
    const text = line.text();
    const parsed = parse(text, line);
    if (parsed === undefined) {
      leftOut.add(text.trim() === "" ? "blank line" : "comment");
    } else if (parsed.kind === "note") {
      const lost = /LOST|DROPPED/.test(text);
      leftOut.add(lost ? "note of lost events" : "note");
      if (lost) notes.add("events were lost, and with them steps");
    } else if (parsed.event === undefined || !this.take(parsed.event, parsed.pid, line)) {
      leftOut.add(parsed.name);
    }
  }

  end(): boolean {
    for (const [pid, task] of this.tasks) {
      if (this.output.steps.full) return false;
      this.finish(task);
      this.tasks.delete(pid);
    }
    return true;
  }

  /** False: the event belongs to no access. */
  private take(event: TraceEvent, pid: number, line: Line): boolean {
    switch (event.event) {
      case "kvm_exit": {
        const task = this.task(event, pid, line);
        this.finish(task);
        task.exit = event;
        return true;
      }
      case "kvm_entry":
        this.finish(this.task(event, pid, line));
        return true;
      case "kvm_page_fault":
        return pageFault(this.task(event, pid, line), event);
      case "kvm_mmio":
        this.mmio(this.task(event, pid, line), event, line);
        return true;
      case "kvm_fast_mmio":
        this.access(this.task(event, pid, line), STORE, event.gpa, FAST_MMIO_SIZE);
        return true;
      case "kvm_pio":
        this.pio(this.task(event, pid, line), event, line);
        return true;
      case "kvm_hypercall":
        this.access(this.task(event, pid, line), VMCALL, 0, 1);
        return true;
      default:
        return false;
    }
  }

  /** Its vCPU is numbered as its events say. Until one says it, tasks are counted as they appear. */
  private task(event: TraceEvent, pid: number, line: Line): Task {
    let task = this.tasks.get(pid);
    if (task === undefined) {
      task = new Task(this.tasks.size);
      this.tasks.set(pid, task);
    }
    if ("vcpuId" in event && event.vcpuId !== undefined) {
      task.vcpu = event.vcpuId;
      const known = this.vcpus.get(event.vcpuId);
      if (known === undefined) this.vcpus.set(event.vcpuId, task);
      else if (known !== task) {
        this.output.notes.add(
          "several tasks are a vCPU of the same number, as with several VMs: they are replayed as one vCPU",
        );
      }
    }
    if (task.vcpu >= MAX_THREADS) throw line.mistake(`vCPUs from 0 to ${MAX_THREADS - 1}`);
    return task;
  }

  /** Ends the exit that a task is in. */
  private finish(task: Task): void {
    this.unanswered(task);
    const { exit, fault, accessed } = task;
    const replayed = exit !== undefined && !accessed && this.replay(task, exit, fault);
    if (fault !== undefined && !replayed) this.output.leftOut.add(fault.event);
    task.exit = undefined;
    task.fault = undefined;
    task.accessed = false;
  }

  /** Replays an exit that has shown no access. True: by its page fault. */
  private replay(task: Task, exit: KvmExit, fault: KvmPageFault | undefined): boolean {
    const shadow = isShadowFault(exit);
    if (isVmcall(exit)) {
      this.access(task, VMCALL, 0, 1);
      return false;
    }
    if (fault === undefined || !(shadow || isNestedFault(exit))) {
      this.output.leftOut.add(`exit ${exitReasonName(exit.isa, exit.exitReason)}`);
      return false;
    }
    const address = Number(fault.faultAddress);
    if (shadow) this.output.notes.add(SHADOW_NOTE);
    if (shadow && address >= LINEAR_LIMIT) this.output.leftOut.add(ABOVE_LINEAR);
    else this.access(task, faultOp(exit, fault), address, FAULT_SIZE, 0, 1, 1);
    return true;
  }

  /** A read is traced again when userspace has answered it. */
  private mmio(task: Task, event: KvmMmio, line: Line): void {
    const { type, gpa, len, val } = event;
    if (!(len >= 1 && len <= MAX_SIZE)) throw line.mistake(`len from 1 to ${MAX_SIZE}`);
    if (type === "read" && task.unsatisfied?.gpa === gpa) task.unsatisfied = undefined;
    this.unanswered(task);
    if (type === "unsatisfied-read") task.unsatisfied = event;
    else this.access(task, type === "write" ? STORE : LOAD, gpa, len, Number(val));
  }

  /** Replays a read whose answer is not in the recording. */
  private unanswered(task: Task): void {
    const { unsatisfied } = task;
    if (unsatisfied === undefined) return;
    task.unsatisfied = undefined;
    this.access(task, LOAD, unsatisfied.gpa, unsatisfied.len);
  }

  private pio(task: Task, event: KvmPio, line: Line): void {
    const { rw, port, size, count, val = 0 } = event;
    if (!(port <= MAX_PORT && (size === 1 || size === 2 || size === 4) && count >= 1 && count <= MAX_COUNT)) {
      throw line.mistake(`a port up to 0x${MAX_PORT.toString(16)}, size 1, 2 or 4, count 1 to ${MAX_COUNT}`);
    }
    const string = count > 1 || (task.exit !== undefined && isStringIo(task.exit));
    const op = rw === 0 ? (string ? INS : IN) : string ? OUTS : OUT;
    this.access(task, op, port, size, val, count);
  }

  private access(
    task: Task,
    op: number,
    address: number,
    size: number,
    value = 0,
    count = 1,
    fresh = 0,
  ): void {
    task.accessed = true;
    if (address + size > PHYSICAL_LIMIT) this.output.leftOut.add("address above 0xfffffffffffff");
    else this.output.steps.add(op, address, size, task.vcpu, value, count, fresh);
  }
}

/** Keeps the fault of an exit. False: the exit has one already, or is not known, and with it the kind of the address. */
function pageFault(task: Task, fault: KvmPageFault): boolean {
  if (task.exit === undefined || task.fault !== undefined) return false;
  task.fault = fault;
  return true;
}

function parse(text: string, line: Line): ParsedEvent | ParsedNote | undefined {
  try {
    return parseFtraceLine(text, line.number);
  } catch {
    throw line.mistake(ALLOWED);
  }
}
