/**
 * The signal that interrupts KVM_RUN on this thread: blocked wherever else the thread is, so that no handler is needed and
 * none of the process is touched; raised by others, or by a timer of the kernel when a run's time is over, whatever the
 * process is doing then.
 */
import { libc } from "./libc.js";
import { SystemCallError } from "./system-call-error.js";

/** Among the real-time signals, which neither Node nor the C library has a use for here. */
export const INTERRUPT_SIGNAL = 40;

/** Bytes of a set of signals as the kernel has it. */
export const SIGNAL_SET_BYTES = 8;

/** System calls, for not every C library that Node runs with has functions for them. Numbers are those of x86-64. */
const RT_SIGPROCMASK = 14;
const RT_SIGTIMEDWAIT = 128;
const TIMER_CREATE = 222;
const TIMER_SETTIME = 223;
const TIMER_DELETE = 226;

const SIG_BLOCK = 0;
const SIGEV_THREAD_ID = 4;
const CLOCK_MONOTONIC = 1;
/** Bytes of `struct sigevent` and `struct itimerspec`. */
const SIGEVENT_BYTES = 64;
const ITIMERSPEC_BYTES = 32;

/** The set of this signal alone. */
export function signalSet(): Uint8Array {
  const set = new Uint8Array(SIGNAL_SET_BYTES);
  set[(INTERRUPT_SIGNAL - 1) >> 3] = 1 << ((INTERRUPT_SIGNAL - 1) & 7);
  return set;
}

export class InterruptSignal {
  /** The timer's number in the process. */
  readonly timer: number;
  private readonly set = signalSet();

  /** Blocks it. @param tid of this thread @throws SystemCallError */
  constructor(tid: number) {
    libc().syscall(RT_SIGPROCMASK, SIG_BLOCK, this.set, 0, SIGNAL_SET_BYTES);
    const event = new DataView(new ArrayBuffer(SIGEVENT_BYTES));
    event.setInt32(8, INTERRUPT_SIGNAL, true);
    event.setInt32(12, SIGEV_THREAD_ID, true);
    event.setInt32(16, tid, true);
    const id = new Uint8Array(4);
    libc().syscall(TIMER_CREATE, CLOCK_MONOTONIC, new Uint8Array(event.buffer), id);
    this.timer = new DataView(id.buffer).getInt32(0, true);
  }

  /** Raises it in so many milliseconds, above 0; what was raised before comes too late for a run that begins now. */
  after(ms: number): void {
    this.disarm();
    this.setTimer(BigInt(Math.ceil(ms * 1e6)));
  }

  /** Raises it no more, and takes back what was raised. */
  disarm(): void {
    this.setTimer(0n);
    const now = new Uint8Array(16);
    try {
      for (;;) libc().syscall(RT_SIGTIMEDWAIT, this.set, 0, now, SIGNAL_SET_BYTES);
    } catch (error) {
      // None is left.
      if (!(error instanceof SystemCallError && error.code === "EAGAIN")) throw error;
    }
  }

  private setTimer(ns: bigint): void {
    const when = new BigInt64Array(ITIMERSPEC_BYTES / 8);
    when[2] = ns / 1_000_000_000n;
    when[3] = ns % 1_000_000_000n;
    libc().syscall(TIMER_SETTIME, this.timer, 0, new Uint8Array(when.buffer), 0);
  }
}

/** Deletes the timer of a thread that has ended. */
export function deleteTimer(timer: number): void {
  libc().syscall(TIMER_DELETE, timer);
}
