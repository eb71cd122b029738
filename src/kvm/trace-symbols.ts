/**
 * What the tracepoints print in place of numbers: exit reasons, exceptions, error codes. They grew from kernel to kernel.
 */

/** What __print_symbolic() prints in place of numbers. */
export interface Symbols {
  readonly names: ReadonlyMap<number, string>;
  readonly codes: ReadonlyMap<string, number>;
}

/** Reads "1 name, 2 other name, ..."; a number that `base` names too gets the new name. */
function symbols(list: string, base?: Symbols): Symbols {
  const added = list.split(",").map((item): [number, string] => {
    const [code, ...words] = item.trim().split(" ");
    return [Number(code), words.join(" ")];
  });
  const names = new Map([...(base?.names ?? []), ...added]);
  return { names, codes: new Map([...names].map(([code, name]) => [name, code])) };
}

/** Exit reasons of VMX. v4.2 and v4.2.8 have the same. */
export const VMX_3_9 = symbols(
  `0 EXCEPTION_NMI, 1 EXTERNAL_INTERRUPT, 2 TRIPLE_FAULT, 7 PENDING_INTERRUPT, 8 NMI_WINDOW, 9 TASK_SWITCH, 10 CPUID,
  12 HLT, 13 INVD, 14 INVLPG, 15 RDPMC, 16 RDTSC, 18 VMCALL, 19 VMCLEAR, 20 VMLAUNCH, 21 VMPTRLD, 22 VMPTRST, 23 VMREAD,
  24 VMRESUME, 25 VMWRITE, 26 VMOFF, 27 VMON, 28 CR_ACCESS, 29 DR_ACCESS, 30 IO_INSTRUCTION, 31 MSR_READ, 32 MSR_WRITE,
  33 INVALID_STATE, 36 MWAIT_INSTRUCTION, 39 MONITOR_INSTRUCTION, 40 PAUSE_INSTRUCTION, 41 MCE_DURING_VMENTRY,
  43 TPR_BELOW_THRESHOLD, 44 APIC_ACCESS, 45 EOI_INDUCED, 48 EPT_VIOLATION, 49 EPT_MISCONFIG, 54 WBINVD, 56 APIC_WRITE,
  58 INVPCID`,
);
export const VMX_4_2 = symbols(
  "34 MSR_LOAD_FAIL, 50 INVEPT, 52 PREEMPTION_TIMER, 53 INVVPID, 63 XSAVES, 64 XRSTORS",
  VMX_3_9,
);
export const VMX_6_19 = symbols(
  `3 INIT_SIGNAL, 4 SIPI_SIGNAL, 7 INTERRUPT_WINDOW, 37 MONITOR_TRAP_FLAG, 46 GDTR_IDTR, 47 LDTR_TR, 51 RDTSCP, 55 XSETBV,
  57 RDRAND, 59 VMFUNC, 60 ENCLS, 61 RDSEED, 62 PML_FULL, 67 UMWAIT, 68 TPAUSE, 74 BUS_LOCK, 75 NOTIFY, 77 TDCALL,
  84 MSR_READ_IMM, 85 MSR_WRITE_IMM`,
  VMX_4_2,
);

/** Exit codes of SVM. v3.9 has those of v4.2. */
export const SVM_4_2 = symbols(
  `0 read_cr0, 3 read_cr3, 4 read_cr4, 8 read_cr8, 0x10 write_cr0, 0x13 write_cr3, 0x14 write_cr4, 0x18 write_cr8,
  0x20 read_dr0, 0x21 read_dr1, 0x22 read_dr2, 0x23 read_dr3, 0x30 write_dr0, 0x31 write_dr1, 0x32 write_dr2,
  0x33 write_dr3, 0x35 write_dr5, 0x37 write_dr7, 0x41 DB excp, 0x43 BP excp, 0x46 UD excp, 0x47 NM excp, 0x4e PF excp,
  0x52 MC excp, 0x60 interrupt, 0x61 nmi, 0x62 smi, 0x63 init, 0x64 vintr, 0x72 cpuid, 0x76 invd, 0x78 hlt, 0x79 invlpg,
  0x7a invlpga, 0x7b io, 0x7c msr, 0x7d task_switch, 0x7f shutdown, 0x80 vmrun, 0x81 hypercall, 0x82 vmload, 0x83 vmsave,
  0x84 stgi, 0x85 clgi, 0x86 skinit, 0x89 wbinvd, 0x8a monitor, 0x8b mwait, 0x8d xsetbv, 0x400 npf`,
);
export const SVM_4_2_8 = symbols("0x51 AC excp", SVM_4_2);
export const SVM_6_19 = symbols(
  `2 read_cr2, 0x12 write_cr2, 0x24 read_dr4, 0x25 read_dr5, 0x26 read_dr6, 0x27 read_dr7, 0x34 write_dr4,
  0x36 write_dr6, 0x40 DE excp, 0x44 OF excp, 0x45 BR excp, 0x48 DF excp, 0x4a TS excp, 0x4b NP excp, 0x4c SS excp,
  0x4d GP excp, 0x50 MF excp, 0x53 XF excp, 0x65 cr0_sel_write, 0x66 read_idtr, 0x67 read_gdtr, 0x68 read_ldtr,
  0x69 read_rt, 0x6a write_idtr, 0x6b write_gdtr, 0x6c write_ldtr, 0x6d write_rt, 0x6e rdtsc, 0x6f rdpmc, 0x70 pushf,
  0x71 popf, 0x73 rsm, 0x74 iret, 0x75 swint, 0x77 pause, 0x7e ferr_freeze, 0x87 rdtscp, 0x88 icebp,
  0x8f write_efer_trap, 0x90 write_cr0_trap, 0x94 write_cr4_trap, 0x98 write_cr8_trap, 0xa2 invpcid, 0xa5 buslock,
  0xa6 idle-halt, 0x401 avic_incomplete_ipi, 0x402 avic_unaccelerated_access, 0x403 vmgexit,
  0x80000001 vmgexit_mmio_read, 0x80000002 vmgexit_mmio_write, 0x80000003 vmgexit_nmi_complete,
  0x80000004 vmgexit_ap_hlt_loop, 0x80000005 vmgexit_ap_jump_table, 0x80000010 vmgexit_page_state_change,
  0x80000011 vmgexit_guest_request, 0x80000012 vmgexit_ext_guest_request, 0x80000013 vmgexit_ap_creation,
  0x8000fffd vmgexit_hypervisor_feature`,
  SVM_4_2_8,
);

/** What the kvm plugin of `trace-cmd report` calls them (libtraceevent, as it was in Linux 4.2.8). */
export const SVM_TRACE_CMD = symbols(
  `0 EXIT_READ_CR0, 3 EXIT_READ_CR3, 4 EXIT_READ_CR4, 8 EXIT_READ_CR8, 0x10 EXIT_WRITE_CR0, 0x13 EXIT_WRITE_CR3,
  0x14 EXIT_WRITE_CR4, 0x18 EXIT_WRITE_CR8, 0x60 EXIT_INTR, 0x61 EXIT_NMI, 0x64 EXIT_VINTR, 0x72 EXIT_CPUID,
  0x78 EXIT_HLT, 0x7b EXIT_IOIO, 0x7c EXIT_MSR, 0x81 EXIT_VMMCALL, 0x400 EXIT_NPF`,
);

/** Exceptions by vector. Linux 4.2.8 still has those of v3.9. */
export const EXCEPTIONS_3_9 = symbols(
  `0 #DE, 1 #DB, 3 #BP, 4 #OF, 5 #BR, 6 #UD, 7 #NM, 8 #DF, 10 #TS, 11 #NP, 12 #SS, 13 #GP, 14 #PF, 16 #MF, 18 #MC`,
);
export const EXCEPTIONS_6_19 = symbols(
  "17 #AC, 19 #XM, 20 #VE, 21 #CP, 28 #HV, 29 #VC, 30 #SX",
  EXCEPTIONS_3_9,
);

/** KVM_EXIT_*. v4.2 has those of v3.9; v6.19 has yet more, and no name for them. */
export const USERSPACE_EXITS_3_9 = symbols(
  `0 UNKNOWN, 1 EXCEPTION, 2 IO, 3 HYPERCALL, 4 DEBUG, 5 HLT, 6 MMIO, 7 IRQ_WINDOW_OPEN, 8 SHUTDOWN, 9 FAIL_ENTRY,
  10 INTR, 11 SET_TPR, 12 TPR_ACCESS, 13 S390_SIEIC, 14 S390_RESET, 15 DCR, 16 NMI, 17 INTERNAL_ERROR, 18 OSI,
  19 PAPR_HCALL, 20 S390_UCONTROL, 21 WATCHDOG, 22 S390_TSCH`,
);
export const USERSPACE_EXITS_6_19 = symbols(
  "23 EPR, 24 SYSTEM_EVENT, 25 S390_STSI, 26 IOAPIC_EOI, 27 HYPERV, 28 ARM_NISV, 29 X86_RDMSR, 30 X86_WRMSR",
  USERSPACE_EXITS_3_9,
);

/** Bits above an exit reason of VMX. */
export const VMX_FLAGS_6_19 = symbols("0x80000000 FAILED_VMENTRY");

/** Bits of a page-fault error code, in the order in which __print_flags() prints them. */
export const PFERR_3_9 = symbols("0x1 P, 0x2 W, 0x4 U, 0x8 RSVD, 0x10 F");
export const PFERR_6_19 = symbols("0x1 P, 0x2 W, 0x4 U, 0x20 PK, 0x40 SS, 0x8000 SGX, 0x8 RSVD, 0x10 F");

/** Modes of the emulator by the flags of the instruction. */
export const EMUL_MODES = symbols("0 real, 3 vm16, 1 prot16, 5 prot32, 9 prot64");
