/**
 * The state of a virtual machine with one vCPU and what the generic part of KVM does with it: memory slots, I/O buses,
 * ioeventfds. Kernel counterpart: virt/kvm/kvm_main.c and virt/kvm/eventfd.c.
 *
 * The kernel's functions are methods of one object that each file extends: kvm-main <- mmu <- x86 <- vmx, as the kernel's
 * files call each other. An era, and later a patch, overrides the method that the real change touches.
 */
import type { CpuGeometry } from "../x86/cpu.js";
import { Ledger } from "../x86/ledger.js";
import { PAGE, Mmu as ProcessorMmu } from "../x86/mmu.js";
import { PhysicalMemory } from "../x86/physical-memory.js";
import { Vmcs } from "../x86/vmcs.js";
import { KvmError } from "./errno.js";
import { type BusIndex, IoBus, KVM_FAST_MMIO_BUS, KVM_MMIO_BUS, KVM_PIO_BUS } from "./io-bus.js";
import { Ioeventfd, type IoeventfdArgs } from "./ioeventfd.js";
import { type MemslotArgs, Memslots } from "./memslots.js";
import { KVM, PRIMITIVES } from "./primitives.js";

/** First host frame of KVM's own page tables: 16 Mbyte. */
const FIRST_TABLE_PFN = 0x1000;

/** Low bits of the EPT pointer: structures in write-back memory, page-walk length 4, no accessed and dirty flags. */
const EPTP_WB_4_LEVELS = 6 | (3 << 3);

const EOPNOTSUPP = 95;

export class KvmMain {
  readonly ledger = new Ledger(PRIMITIVES);
  protected readonly counts: Float64Array = this.ledger.counts;
  readonly memory = new PhysicalMemory();
  readonly cpu: ProcessorMmu;
  /** Host page frame number of the EPT's root table. */
  protected readonly eptRoot: number;
  readonly vmcs = new Vmcs();
  readonly memslots: Memslots;
  readonly buses: readonly [IoBus, IoBus, IoBus];
  private readonly ioeventfds: { readonly bus: BusIndex; readonly eventfd: Ioeventfd }[] = [];
  private nextTablePfn = FIRST_TABLE_PFN;

  constructor(geometry: CpuGeometry) {
    this.cpu = new ProcessorMmu(geometry, this.memory, this.ledger);
    this.eptRoot = this.allocateTable();
    this.cpu.enableEpt(this.eptRoot * PAGE + EPTP_WB_4_LEVELS);
    this.memslots = new Memslots(2 ** (geometry.physicalAddressBits - 12));
    const counted = this.busLimitCountsIoeventfds;
    // The fast bus never counts its eventfds apart, so there they use up the limit on devices.
    this.buses = [
      new IoBus(this.ledger, counted),
      new IoBus(this.ledger, counted),
      new IoBus(this.ledger, true),
    ];
  }

  /** Whether eventfds use up the limit on devices of the MMIO and port I/O bus. */
  get busLimitCountsIoeventfds(): boolean {
    return true;
  }

  /** Lengths that KVM_IOEVENTFD accepts, bytes. */
  get ioeventfdLengths(): readonly number[] {
    return [1, 2, 4, 8];
  }

  /** @throws KvmError as `Memslots.add` */
  setUserMemoryRegion(args: MemslotArgs): void {
    this.memslots.add(args);
  }

  /** KVM_IOEVENTFD without DEASSIGN. @throws KvmError EINVAL (length), EEXIST (collision), ENOSPC (bus full) */
  assignIoeventfd(args: IoeventfdArgs): Ioeventfd {
    if (!this.ioeventfdLengths.includes(args.len)) {
      throw new KvmError("EINVAL", `length ${args.len} is not one of ${this.ioeventfdLengths.join(", ")}`);
    }
    if (args.len === 0 && (args.pio || args.datamatch !== undefined)) {
      throw new KvmError("EINVAL", "length 0 goes with neither port I/O nor a datamatch");
    }
    const bus: BusIndex = args.pio ? KVM_PIO_BUS : KVM_MMIO_BUS;
    if (this.ioeventfds.some((other) => other.bus === bus && other.eventfd.collidesWith(args))) {
      throw new KvmError(
        "EEXIST",
        `another ioeventfd at 0x${args.addr.toString(16)} matches the same writes`,
      );
    }
    const eventfd = new Ioeventfd(args, this.ledger);
    this.buses[bus].register(args.addr, args.len, eventfd);
    if (args.len === 0) this.registerFast(args.addr, eventfd);
    this.ioeventfds.push({ bus, eventfd });
    return eventfd;
  }

  /** A device inside the kernel that takes every access within its ports. */
  registerPioDevice(port: number, len: number): void {
    const counts = this.counts;
    const inRange = (addr: number, size: number) => {
      if (addr < port || addr + size > port + len) return false;
      counts[KVM.inKernelDevice]++;
      return true;
    };
    this.buses[KVM_PIO_BUS].register(port, len, { isIoeventfd: false, write: inRange, read: inRange });
  }

  /** 0, or -EOPNOTSUPP when no device took the write. */
  kvmIoBusWrite(bus: BusIndex, addr: number, len: number, value: number): number {
    return this.buses[bus].write(addr, len, value) ? 0 : -EOPNOTSUPP;
  }

  /** 0, or -EOPNOTSUPP when no device took the read. */
  kvmIoBusRead(bus: BusIndex, addr: number, len: number): number {
    return this.buses[bus].read(addr, len) ? 0 : -EOPNOTSUPP;
  }

  /**
   * Writes an 8-byte entry into guest memory: how the guest's paging structures are made before it runs.
   * @throws KvmError EFAULT outside the slots
   */
  kvmWriteGuest(gfn: number, index: number, low: number, high: number): void {
    const slot = this.memslots.find(gfn);
    if (slot === undefined) throw new KvmError("EFAULT", `no memory slot at guest page frame ${gfn}`);
    this.memory.write(slot.basePfn + gfn - slot.baseGfn, index, low, high);
  }

  /** What cannot be on the fast bus is on neither. */
  private registerFast(addr: number, eventfd: Ioeventfd): void {
    try {
      this.buses[KVM_FAST_MMIO_BUS].register(addr, 0, eventfd);
    } catch (error) {
      this.buses[KVM_MMIO_BUS].unregister(eventfd);
      throw error;
    }
  }

  protected allocateTable(): number {
    return this.nextTablePfn++;
  }
}
