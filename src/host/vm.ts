/** A virtual machine of this machine's KVM. Documentation/virt/kvm/api.rst, "VM ioctls". */
import { PAGE } from "../x86/mmu.js";
import { HostEventFd } from "./eventfd.js";
import { libc } from "./libc.js";
import { Mapping } from "./mapping.js";
import {
  KVM_CREATE_VCPU,
  KVM_GET_DIRTY_LOG,
  KVM_IOEVENTFD,
  KVM_SET_TSS_ADDR,
  KVM_SET_USER_MEMORY_REGION,
  type KvmIoeventfd,
  type KvmUserspaceMemoryRegion,
} from "./uapi.js";
import { HostVcpu } from "./vcpu.js";

/** Three pages below 4 Gbyte that Intel's processors want for themselves: KVM keeps them from the guest's memory slots. */
export const TSS_ADDRESS = 0xfffb_d000;

export interface HostVmOptions {
  readonly fd: number;
  /** Bytes of `struct kvm_run` and what follows it. */
  readonly runBytes: number;
  /** `struct kvm_cpuid2`: what vCPUs have. */
  readonly cpuid: Uint8Array;
  readonly onClose: (vm: HostVm) => void;
}

export class HostVm {
  private closed = false;
  /** What goes with the virtual machine, the youngest first. */
  private readonly releases: (() => void)[] = [];
  private readonly vcpus: HostVcpu[] = [];
  /** By the slot's number: the kernel writes a bit of each into a dirty log, whatever room there is. */
  private readonly slotPages = new Map<number, number>();

  /** Takes the descriptor of the virtual machine, also if it fails. @throws SystemCallError */
  constructor(private readonly options: HostVmOptions) {
    this.releases.push(() => libc().close(options.fd));
    try {
      libc().ioctl(options.fd, KVM_SET_TSS_ADDR, TSS_ADDRESS);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Memory of this process, which is gone when the virtual machine is closed. @param bytes a multiple of 4096 */
  mmap(bytes: number): Mapping {
    this.checkOpen();
    return this.owned(new Mapping(bytes), (mapping) => mapping.release());
  }

  /** An eventfd, which is closed with the virtual machine. */
  eventfd(): HostEventFd {
    this.checkOpen();
    return this.owned(new HostEventFd(), (eventfd) => eventfd.close());
  }

  /** KVM_SET_USER_MEMORY_REGION. @throws SystemCallError */
  setUserMemoryRegion(region: KvmUserspaceMemoryRegion): void {
    libc().ioctl(this.fd, KVM_SET_USER_MEMORY_REGION, region);
    this.slotPages.set(region.slot, Number(region.memory_size) / PAGE);
  }

  /** KVM_IOEVENTFD. @throws SystemCallError */
  ioeventfd(ioeventfd: KvmIoeventfd): void {
    libc().ioctl(this.fd, KVM_IOEVENTFD, ioeventfd);
  }

  /**
   * KVM_GET_DIRTY_LOG.
   * @returns the pages that were written, counted from the slot's first
   * @throws SystemCallError
   */
  getDirtyLog(slot: number): number[] {
    const pages = this.slotPages.get(slot) ?? 0;
    const bitmap = new Uint8Array(8 * Math.ceil(pages / 64));
    libc().ioctl(this.fd, KVM_GET_DIRTY_LOG, { slot, dirty_bitmap: libc().address(bitmap) });
    return Array.from({ length: pages }, (_, page) => page).filter(
      (page) => ((bitmap[page >> 3] >> (page & 7)) & 1) === 1,
    );
  }

  /** KVM_CREATE_VCPU, with all that KVM can give a guest of the processor's features. @throws SystemCallError */
  createVcpu(id: number): HostVcpu {
    const { runBytes, cpuid } = this.options;
    const vcpu = new HostVcpu(libc().ioctl(this.fd, KVM_CREATE_VCPU, id), runBytes, cpuid);
    this.vcpus.push(vcpu);
    return this.owned(vcpu, () => vcpu.close());
  }

  /** @throws Error while a vCPU runs, whose memory would go */
  checkIdle(): void {
    if (this.vcpus.some(({ running }) => running))
      throw new Error("a vCPU of the virtual machine is running: interrupt its thread first");
  }

  /** Closes and unmaps all that it has given out. @throws as `checkIdle()` */
  close(): void {
    if (this.closed) return;
    this.checkIdle();
    this.closed = true;
    this.options.onClose(this);
    for (const release of this.releases.reverse()) release();
  }

  private owned<T>(resource: T, release: (resource: T) => void): T {
    this.releases.push(() => release(resource));
    return resource;
  }

  private checkOpen(): void {
    if (this.closed) throw new Error("the virtual machine has been closed");
  }

  private get fd(): number {
    this.checkOpen();
    return this.options.fd;
  }
}
