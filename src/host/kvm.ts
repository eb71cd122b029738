/** /dev/kvm of this machine. Documentation/virt/kvm/api.rst, "System ioctls". */
import { HostUnavailable } from "./host-unavailable.js";
import { libc } from "./libc.js";
import { SystemCallError } from "./system-call-error.js";
import {
  KVM_API_VERSION,
  KVM_CAP_IMMEDIATE_EXIT,
  KVM_CAP_IOEVENTFD_ANY_LENGTH,
  KVM_CAP_READONLY_MEM,
  KVM_CHECK_EXTENSION,
  KVM_CPUID_ENTRY_BYTES,
  KVM_CREATE_VM,
  KVM_GET_API_VERSION,
  KVM_GET_SUPPORTED_CPUID,
  KVM_GET_VCPU_MMAP_SIZE,
} from "./uapi.js";
import { HostVm } from "./vm.js";

/** What this package asks for, by name: without one of them there is nothing to measure. */
const NEEDED = {
  KVM_CAP_READONLY_MEM,
  KVM_CAP_IOEVENTFD_ANY_LENGTH,
  KVM_CAP_IMMEDIATE_EXIT,
} as const;

const HINTS: Readonly<Record<string, string>> = {
  ENOENT: " (no module of KVM, or a container without the device)",
  EACCES: " (is this user in the group of the file?)",
  EPERM: " (does the container's device list have it?)",
};

/** More entries than any processor has. */
const CPUID_ENTRIES = 256;

export class KvmDevice {
  private closed = false;
  private readonly vms = new Set<HostVm>();
  private cpuid: Uint8Array | undefined;

  constructor(private readonly descriptor: number) {}

  /** KVM_CHECK_EXTENSION: 0 for a capability that this kernel has not. */
  checkExtension(capability: number): number {
    return libc().ioctl(this.fd, KVM_CHECK_EXTENSION, capability);
  }

  /** KVM_CREATE_VM. @throws SystemCallError */
  createVm(): HostVm {
    const runBytes = libc().ioctl(this.fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    const cpuid = this.supportedCpuid();
    // Last: nothing may fail between this and the one that closes it.
    const fd = retried(() => libc().ioctl(this.fd, KVM_CREATE_VM, 0));
    const vm = new HostVm({ fd, runBytes, cpuid, onClose: (closed) => this.vms.delete(closed) });
    this.vms.add(vm);
    return vm;
  }

  /** Also closes its virtual machines. @throws Error while a vCPU of one runs */
  close(): void {
    if (this.closed) return;
    for (const vm of this.vms) vm.checkIdle();
    for (const vm of this.vms) vm.close();
    this.closed = true;
    libc().close(this.descriptor);
  }

  private get fd(): number {
    if (this.closed) throw new Error("KVM has been closed");
    return this.descriptor;
  }

  /** `struct kvm_cpuid2` as KVM_GET_SUPPORTED_CPUID fills it. */
  private supportedCpuid(): Uint8Array {
    if (this.cpuid === undefined) {
      const cpuid = new Uint8Array(8 + CPUID_ENTRIES * KVM_CPUID_ENTRY_BYTES);
      new DataView(cpuid.buffer).setUint32(0, CPUID_ENTRIES, true);
      libc().ioctl(this.fd, KVM_GET_SUPPORTED_CPUID, cpuid);
      this.cpuid = cpuid;
    }
    return this.cpuid;
  }
}

/** A signal that comes to the process ends some ioctls before they have done anything. */
function retried<T>(call: () => T): T {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof SystemCallError && error.code === "EINTR")) throw error;
    }
  }
}

/** Opens KVM. @throws HostUnavailable, in one line, where it cannot be used */
export function openKvm(path = "/dev/kvm"): KvmDevice {
  const library = libc();
  let fd: number;
  try {
    fd = library.open(path);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    throw new HostUnavailable(error.message + (HINTS[error.code] ?? ""));
  }
  try {
    const version = library.ioctl(fd, KVM_GET_API_VERSION, 0);
    if (version !== KVM_API_VERSION)
      throw new HostUnavailable(`${path} has version ${version} of the interface, not ${KVM_API_VERSION}`);
    const device = new KvmDevice(fd);
    const missing = Object.entries(NEEDED).filter(
      ([, capability]) => device.checkExtension(capability) === 0,
    );
    if (missing.length > 0)
      throw new HostUnavailable(`the kernel lacks ${missing.map(([name]) => name).join(", ")}`);
    return device;
  } catch (error) {
    library.close(fd);
    if (!(error instanceof SystemCallError)) throw error;
    throw new HostUnavailable(`${path} is not KVM: ${error.message}`);
  }
}

/** Why KVM cannot be used here, in one line; null: it can. */
export function whyNoKvm(path?: string): string | null {
  try {
    openKvm(path).close();
    return null;
  } catch (error) {
    if (error instanceof HostUnavailable) return error.message;
    throw error;
  }
}
