/** A virtual processor of this machine's KVM. Documentation/virt/kvm/api.rst, "vcpu ioctls". */
import type { HostEventFd } from "./eventfd.js";
import { SIGNAL_SET_BYTES, signalSet } from "./interrupt-signal.js";
import { libc } from "./libc.js";
import {
  KVM_GET_REGS,
  KVM_GET_SREGS,
  KVM_GET_TSC_KHZ,
  KVM_RUN_OFFSETS,
  KVM_SET_CPUID2,
  KVM_SET_REGS,
  KVM_SET_SIGNAL_MASK,
  KVM_SET_SREGS,
  type KvmRegs,
  type KvmSregs,
} from "./uapi.js";
import type { VcpuThread } from "./vcpu-thread.js";

export interface RunOptions {
  /** Milliseconds that the whole run may take, above 0. */
  readonly limitMs: number;
  /** An OUT to this port ends the run. */
  readonly stopPort: number;
  /** An OUT to this port is noted as `sync`, behind the eventfds that have been signalled. */
  readonly syncPort?: number;
  /** Read at each sync and at the end. */
  readonly eventfds?: readonly HostEventFd[];
  /** Whether each access that comes to userspace is noted; it is counted anyhow. */
  readonly recordExits?: boolean;
}

/** What happened, in the order in which userspace saw it. Addresses and sizes in bytes, data little-endian. */
export type RunEvent =
  | {
      readonly kind: "mmio";
      readonly write: boolean;
      readonly gpa: number;
      readonly len: number;
      readonly data: bigint;
    }
  | {
      readonly kind: "io";
      readonly write: boolean;
      readonly port: number;
      readonly size: number;
      readonly count: number;
      readonly data: bigint;
    }
  /** The eventfd, by its place among those of the options, was signalled so often since it was read last. */
  | { readonly kind: "signal"; readonly eventfd: number; readonly count: number }
  | { readonly kind: "sync" };

export interface RunResult {
  readonly events: readonly RunEvent[];
  /** How often KVM_RUN returned, by the name of the reason. Those of the sync and stop ports are among KVM_EXIT_IO. */
  readonly exits: Readonly<Record<string, number>>;
}

/** What a thread needs of a vCPU: its descriptor, and address and bytes of `struct kvm_run` and its data. */
export interface LentVcpu {
  readonly fd: number;
  readonly address: bigint;
  readonly bytes: number;
}

export class HostVcpu {
  private readonly lent: LentVcpu;
  private readonly page: DataView;
  private isLent = false;
  private closed = false;

  /** Takes the descriptor, also if it fails. @throws SystemCallError */
  constructor(fd: number, bytes: number, cpuid: Uint8Array) {
    let address: bigint | undefined;
    try {
      libc().ioctl(fd, KVM_SET_CPUID2, cpuid);
      libc().ioctl(fd, KVM_SET_SIGNAL_MASK, onlyInterrupt());
      address = libc().mmap(bytes, fd);
      this.page = new DataView(libc().view(address, bytes));
      this.lent = { fd, address, bytes };
    } catch (error) {
      if (address !== undefined) libc().munmap(address, bytes);
      libc().close(fd);
      throw error;
    }
  }

  /** @throws Error once it is closed, when the number may be another's, and while it runs, when a call would wait for its end */
  get fd(): number {
    if (this.closed) throw new Error("the vCPU has been closed");
    if (this.isLent) throw new Error("a thread runs the vCPU");
    return this.lent.fd;
  }

  get running(): boolean {
    return this.isLent;
  }

  getRegs(): KvmRegs {
    return libc().ioctlRead(this.fd, KVM_GET_REGS);
  }

  setRegs(regs: Partial<KvmRegs>): void {
    libc().ioctl(this.fd, KVM_SET_REGS, regs);
  }

  getSregs(): KvmSregs {
    return libc().ioctlRead(this.fd, KVM_GET_SREGS);
  }

  setSregs(sregs: KvmSregs): void {
    libc().ioctl(this.fd, KVM_SET_SREGS, sregs);
  }

  /** Frequency of the guest's TSC as KVM has it, in kHz. */
  getTscKhz(): number {
    return libc().ioctl(this.fd, KVM_GET_TSC_KHZ, 0);
  }

  /**
   * Runs the guest on a thread until it writes to the stop port. It is behind that instruction then, and can go on from there.
   * @throws GuestError when it ends otherwise: limit, triple fault, interrupt, an error of KVM; SystemCallError
   */
  run(thread: VcpuThread, options: RunOptions): Promise<RunResult> {
    return thread.run(this, options);
  }

  /** For a thread, until it gives it back. @throws Error where another has it, or it is closed */
  lend(): LentVcpu {
    void this.fd;
    this.isLent = true;
    return this.lent;
  }

  giveBack(): void {
    this.isLent = false;
    this.page.setUint8(KVM_RUN_OFFSETS.immediate_exit, 0);
  }

  /** Makes KVM_RUN return, now or when it is called next, while a thread has it. */
  exitImmediately(): void {
    if (this.isLent) this.page.setUint8(KVM_RUN_OFFSETS.immediate_exit, 1);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    libc().munmap(this.lent.address, this.lent.bytes);
    libc().close(this.lent.fd);
  }
}

/** `struct kvm_signal_mask`: while the guest runs, all signals are blocked but the one that interrupts it. */
function onlyInterrupt(): Uint8Array {
  const mask = new Uint8Array(4 + SIGNAL_SET_BYTES);
  mask[0] = SIGNAL_SET_BYTES;
  mask.set(
    signalSet().map((byte) => ~byte),
    4,
  );
  return mask;
}
