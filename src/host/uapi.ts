/**
 * KVM's interface to userspace as far as it is used here: structures, ioctls, flags and exit reasons under the names of
 * include/uapi/linux/kvm.h and arch/x86/include/uapi/asm/kvm.h. Documentation/virt/kvm/api.rst says what they do.
 */

/** Type of a field: an unsigned integer, an array of a field, or a structure. Alignment is that of C on x86-64. */
export type Field = "u8" | "u16" | "u32" | "u64" | readonly [field: Field, length: number] | Structure;

/** The fields of a structure, in their order. */
export interface Structure {
  readonly [field: string]: Field;
}

/** What a field holds in JavaScript: 64 bits as a number where they fit one exactly. */
export type ValueOf<F> = F extends "u64"
  ? number | bigint
  : F extends string
    ? number
    : F extends readonly [infer Element, number]
      ? readonly ValueOf<Element>[]
      : { readonly [Name in keyof F]: ValueOf<F[Name]> };

/** An ioctl of KVM: what it is called, its number, and the structure that its argument points to; null: a plain number. */
export interface Ioctl<S extends Structure | null = Structure | null> {
  readonly name: string;
  readonly direction: "none" | "read" | "write" | "both";
  readonly number: number;
  readonly structure: S;
}

const io = (name: string, number: number): Ioctl<null> => ({
  name,
  direction: "none",
  number,
  structure: null,
});

const ior = <S extends Structure>(name: string, number: number, structure: S): Ioctl<S> => ({
  name,
  direction: "read",
  number,
  structure,
});

const iow = <S extends Structure>(name: string, number: number, structure: S): Ioctl<S> => ({
  name,
  direction: "write",
  number,
  structure,
});

const iowr = <S extends Structure>(name: string, number: number, structure: S): Ioctl<S> => ({
  name,
  direction: "both",
  number,
  structure,
});

export const KVM_API_VERSION = 12;

const kvm_userspace_memory_region = {
  slot: "u32",
  flags: "u32",
  guest_phys_addr: "u64",
  memory_size: "u64",
  userspace_addr: "u64",
} as const satisfies Structure;
export type KvmUserspaceMemoryRegion = ValueOf<typeof kvm_userspace_memory_region>;

const kvm_ioeventfd = {
  datamatch: "u64",
  addr: "u64",
  len: "u32",
  fd: "u32",
  flags: "u32",
  pad: ["u8", 36],
} as const satisfies Structure;
export type KvmIoeventfd = Omit<ValueOf<typeof kvm_ioeventfd>, "pad">;

const kvm_dirty_log = {
  slot: "u32",
  padding1: "u32",
  dirty_bitmap: "u64",
} as const satisfies Structure;

const kvm_regs = {
  rax: "u64",
  rbx: "u64",
  rcx: "u64",
  rdx: "u64",
  rsi: "u64",
  rdi: "u64",
  rsp: "u64",
  rbp: "u64",
  r8: "u64",
  r9: "u64",
  r10: "u64",
  r11: "u64",
  r12: "u64",
  r13: "u64",
  r14: "u64",
  r15: "u64",
  rip: "u64",
  rflags: "u64",
} as const satisfies Structure;
export type KvmRegs = ValueOf<typeof kvm_regs>;

const kvm_segment = {
  base: "u64",
  limit: "u32",
  selector: "u16",
  type: "u8",
  present: "u8",
  dpl: "u8",
  db: "u8",
  s: "u8",
  l: "u8",
  g: "u8",
  avl: "u8",
  unusable: "u8",
  padding: "u8",
} as const satisfies Structure;
export type KvmSegment = ValueOf<typeof kvm_segment>;

const kvm_dtable = { base: "u64", limit: "u16", padding: ["u16", 3] } as const satisfies Structure;

const kvm_sregs = {
  cs: kvm_segment,
  ds: kvm_segment,
  es: kvm_segment,
  fs: kvm_segment,
  gs: kvm_segment,
  ss: kvm_segment,
  tr: kvm_segment,
  ldt: kvm_segment,
  gdt: kvm_dtable,
  idt: kvm_dtable,
  cr0: "u64",
  cr2: "u64",
  cr3: "u64",
  cr4: "u64",
  cr8: "u64",
  efer: "u64",
  apic_base: "u64",
  interrupt_bitmap: ["u64", 4],
} as const satisfies Structure;
export type KvmSregs = ValueOf<typeof kvm_sregs>;

/** Entries follow it. */
const kvm_cpuid2 = { nent: "u32", padding: "u32" } as const satisfies Structure;
/** Bytes of an entry, `struct kvm_cpuid_entry2`. */
export const KVM_CPUID_ENTRY_BYTES = 40;

/** A set of signals follows it. */
const kvm_signal_mask = { len: "u32" } as const satisfies Structure;

// Of /dev/kvm.
export const KVM_GET_API_VERSION = io("KVM_GET_API_VERSION", 0x00);
export const KVM_CREATE_VM = io("KVM_CREATE_VM", 0x01);
export const KVM_CHECK_EXTENSION = io("KVM_CHECK_EXTENSION", 0x03);
export const KVM_GET_VCPU_MMAP_SIZE = io("KVM_GET_VCPU_MMAP_SIZE", 0x04);
export const KVM_GET_SUPPORTED_CPUID = iowr("KVM_GET_SUPPORTED_CPUID", 0x05, kvm_cpuid2);

// Of a VM.
export const KVM_CREATE_VCPU = io("KVM_CREATE_VCPU", 0x41);
export const KVM_GET_DIRTY_LOG = iow("KVM_GET_DIRTY_LOG", 0x42, kvm_dirty_log);
export const KVM_SET_USER_MEMORY_REGION = iow(
  "KVM_SET_USER_MEMORY_REGION",
  0x46,
  kvm_userspace_memory_region,
);
export const KVM_SET_TSS_ADDR = io("KVM_SET_TSS_ADDR", 0x47);
export const KVM_IOEVENTFD = iow("KVM_IOEVENTFD", 0x79, kvm_ioeventfd);

// Of a vCPU.
export const KVM_RUN = io("KVM_RUN", 0x80);
export const KVM_GET_REGS = ior("KVM_GET_REGS", 0x81, kvm_regs);
export const KVM_SET_REGS = iow("KVM_SET_REGS", 0x82, kvm_regs);
export const KVM_GET_SREGS = ior("KVM_GET_SREGS", 0x83, kvm_sregs);
export const KVM_SET_SREGS = iow("KVM_SET_SREGS", 0x84, kvm_sregs);
export const KVM_SET_SIGNAL_MASK = iow("KVM_SET_SIGNAL_MASK", 0x8b, kvm_signal_mask);
export const KVM_SET_CPUID2 = iow("KVM_SET_CPUID2", 0x90, kvm_cpuid2);
export const KVM_GET_TSC_KHZ = io("KVM_GET_TSC_KHZ", 0xa3);
export const KVM_GET_STATS_FD = io("KVM_GET_STATS_FD", 0xce);

// Capabilities.
export const KVM_CAP_READONLY_MEM = 81;
export const KVM_CAP_IOEVENTFD_ANY_LENGTH = 122;
export const KVM_CAP_IMMEDIATE_EXIT = 136;

/** The reasons for which KVM_RUN returns. */
export const KVM_EXITS = {
  KVM_EXIT_UNKNOWN: 0,
  KVM_EXIT_EXCEPTION: 1,
  KVM_EXIT_IO: 2,
  KVM_EXIT_HYPERCALL: 3,
  KVM_EXIT_DEBUG: 4,
  KVM_EXIT_HLT: 5,
  KVM_EXIT_MMIO: 6,
  KVM_EXIT_IRQ_WINDOW_OPEN: 7,
  KVM_EXIT_SHUTDOWN: 8,
  KVM_EXIT_FAIL_ENTRY: 9,
  KVM_EXIT_INTR: 10,
  KVM_EXIT_INTERNAL_ERROR: 17,
} as const;

/** Byte offsets in `struct kvm_run`, which its file descriptor maps. */
export const KVM_RUN_OFFSETS = {
  immediate_exit: 1,
  exit_reason: 8,
  "io.direction": 32,
  "io.size": 33,
  "io.port": 34,
  "io.count": 36,
  "io.data_offset": 40,
  "mmio.phys_addr": 32,
  "mmio.data": 40,
  "mmio.len": 48,
  "mmio.is_write": 52,
  "internal.suberror": 32,
  "fail_entry.hardware_entry_failure_reason": 32,
} as const;

export const KVM_EXIT_IO_OUT = 1;
