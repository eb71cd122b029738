/**
 * The thread that vCPUs run on, so that the one that asked for it stays free: a notebook's cell, a timer, Ctrl-C.
 *
 * Its compiled file is started, as that of a pool of workers is.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { InputError, notAllowed } from "../cost/input.js";
import { type EarlyEnd, GuestError } from "./guest-error.js";
import { deleteTimer, INTERRUPT_SIGNAL } from "./interrupt-signal.js";
import { libc } from "./libc.js";
import { SystemCallError } from "./system-call-error.js";
import type { HostVcpu, LentVcpu, RunOptions, RunResult } from "./vcpu.js";

/** Number of the system call on x86-64. */
const TGKILL = 234;

/** As large as a timer of the kernel takes it, in ms: some thousand years. */
const LONGEST_LIMIT = 1e14;

/** What a thread does with a vCPU. */
export type Work =
  | {
      readonly work: "run";
      readonly options: Omit<RunOptions, "eventfds">;
      /** Descriptors. */
      readonly eventfds: readonly number[];
    }
  | { readonly work: "immediate-exits"; readonly batches: number; readonly calls: number };

export interface Order {
  readonly vcpu: LentVcpu;
  readonly work: Work;
}

/** What it answers; first of all, unasked, which thread it is. */
export type Answer =
  | { readonly answer: "ready"; readonly tid: number; readonly timer: number }
  | ({ readonly answer: "ended" } & RunResult)
  | { readonly answer: "ended early"; readonly early: EarlyEnd }
  | { readonly answer: "times"; readonly ns: Float64Array }
  | { readonly answer: "refused"; readonly errno: number; readonly syscall: string };

export interface VcpuThreadOptions {
  /** Processor that the thread is kept on. */
  readonly cpu?: number;
}

/** Those that have not ended: Node waits for its threads when the process ends. */
const threads = new Set<VcpuThread>();
const interruptAll = () => {
  for (const thread of threads) thread.interrupt();
};

export class VcpuThread {
  private running: HostVcpu | null = null;
  private ended = false;

  private constructor(
    private readonly worker: Worker,
    /** Thread id of the kernel's. */
    readonly tid: number,
    timer: number,
  ) {
    if (threads.size === 0) process.on("exit", interruptAll);
    threads.add(this);
    worker.once("exit", () => {
      this.ended = true;
      threads.delete(this);
      if (threads.size === 0) process.off("exit", interruptAll);
      deleteTimer(timer);
    });
  }

  /** @throws HostUnavailable; InputError; SystemCallError for a processor that the thread may not run on */
  static async start(options: VcpuThreadOptions = {}): Promise<VcpuThread> {
    const { cpu = 0 } = options;
    if (!(Number.isInteger(cpu) && cpu >= 0 && cpu < 2 ** 16))
      throw new InputError("cpu", notAllowed(cpu), "the number of a processor");
    // Says first, and here, if the library cannot be called.
    libc();
    const worker = new Worker(new URL("./vcpu-worker.js", import.meta.url), {
      workerData: options,
      // Not those of this process, such as --input-type, which are about its own program.
      execArgv: [],
    });
    const answer = await answerOf(worker);
    worker.unref();
    if (answer.answer === "ready") return new VcpuThread(worker, answer.tid, answer.timer);
    await worker.terminate();
    throw failure(answer);
  }

  /** `HostVcpu.run()`: one at a time. */
  async run(vcpu: HostVcpu, { eventfds = [], ...options }: RunOptions): Promise<RunResult> {
    const { limitMs } = options;
    if (!(limitMs > 0 && limitMs <= LONGEST_LIMIT))
      throw new InputError("limitMs", notAllowed(limitMs), "a number of milliseconds, above 0");
    const answer = await this.ask(vcpu, { work: "run", options, eventfds: eventfds.map(({ fd }) => fd) });
    if (answer.answer !== "ended") throw failure(answer);
    return { events: answer.events, exits: answer.exits };
  }

  /**
   * KVM_RUN that returns before it enters the guest (`immediate_exit`), in batches of so many calls: what a round trip to KVM
   * costs, the call through the foreign-function interface and the change of the signal mask, there and back, included. It goes
   * on to its end.
   * @returns nanoseconds of a call, by batch
   */
  async immediateExits(vcpu: HostVcpu, batches: number, calls: number): Promise<Float64Array> {
    const answer = await this.ask(vcpu, { work: "immediate-exits", batches, calls });
    if (answer.answer !== "times") throw failure(answer);
    return answer.ns;
  }

  /** Ends the run under way, which fails with a GuestError "interrupted". */
  interrupt(): void {
    const { running } = this;
    if (running === null) return;
    running.exitImmediately();
    libc().syscall(TGKILL, process.pid, this.tid, INTERRUPT_SIGNAL);
  }

  /** Ends the thread, and first what runs on it. */
  async close(): Promise<void> {
    if (this.ended) return;
    try {
      this.interrupt();
    } finally {
      await this.worker.terminate();
    }
  }

  private async ask(vcpu: HostVcpu, work: Work): Promise<Answer> {
    if (this.ended) throw new Error("the vCPU's thread has ended");
    if (this.running !== null) throw new Error("the thread runs another vCPU");
    const order: Order = { vcpu: vcpu.lend(), work };
    this.running = vcpu;
    this.worker.ref();
    try {
      this.worker.postMessage(order);
      return await answerOf(this.worker);
    } finally {
      this.worker.unref();
      this.running = null;
      vcpu.giveBack();
    }
  }
}

/** The next message of a thread. @throws Error when it fails, or ends without one */
async function answerOf(worker: Worker): Promise<Answer> {
  const listeners = new AbortController();
  const { signal } = listeners;
  try {
    // An error of the thread rejects.
    const message = once(worker, "message", { signal }).then(([answer]): Answer => answer);
    const end = once(worker, "exit", { signal }).then((): Answer => {
      throw new Error("the vCPU's thread has ended");
    });
    // The one that comes second is rejected when nobody listens any more.
    for (const each of [message, end]) each.catch(() => {});
    return await Promise.race([message, end]);
  } finally {
    listeners.abort();
  }
}

function failure(answer: Answer): Error {
  if (answer.answer === "refused") return new SystemCallError(answer.errno, answer.syscall);
  if (answer.answer === "ended early") return new GuestError(answer.early);
  return new Error(`the vCPU's thread answered ${answer.answer}`);
}
