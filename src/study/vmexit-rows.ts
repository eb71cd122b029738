/**
 * The rows that `vmexit` of kvm-unit-tests prints, and those that `exitlab measure` adds, as the parts of scenarios that make
 * them; and those that nothing here makes, with what is missing. Names, ports and sizes are those of x86/vmexit.c, of the rows
 * of pci-testdev those of QEMU's docs/specs/pci-testdev.txt.
 */
import { type Counts, perOne } from "../cost/counts.js";
import type { KernelVersion } from "../kvm/eras.js";
import { INSTRUCTION_FORMS } from "../kvm/instruction.js";
import { PAGE } from "../x86/mmu.js";
import { DrawnGuest } from "./run/drawn-guest.js";
import { Machine } from "./run/machine.js";
import { parseScenario, type ScenarioInput } from "./run/scenario.js";

/** A row as the part of a scenario that makes it. */
export interface RowScenario
  extends Pick<ScenarioInput, "workload" | "ioeventfds" | "inKernelPorts" | "deviceModelPorts"> {
  /** In place of the machine's, where the row needs its own. */
  readonly memslots?: ScenarioInput["memslots"];
  /** The guest has read a byte at this address (in bytes) before all else. */
  readonly readFirst?: number;
}

/** The rest of the scenario: on what machine. */
export type RowMachine = Omit<ScenarioInput, Exclude<keyof RowScenario, "memslots">>;

/** A row that is simulated, or why it is not. */
export type VmexitRow = { readonly scenario: RowScenario } | { readonly notSimulated: string };

/** Of pci-testdev: a page of memory and a range of ports, one byte per access; the tests start at this offset. */
const TEST_OFFSET = 2048;
const MMIO_BAR = 0xfebf_0000;
const PIO_BAR = 0xc000;

/** The value that the datamatch eventfd of pci-testdev waits for, and that every test writes. */
const DATA = 0xfa;

const store = { op: "store", address: MMIO_BAR + TEST_OFFSET, size: 1, value: DATA } as const;
const out = { op: "out", address: PIO_BAR, size: 1, value: DATA } as const;

/** The rows of pci-testdev. A wildcard on MMIO has length 0 where the kernel can have that, as QEMU asks for it. */
export function pciTestdevRows(kernel: KernelVersion): Record<string, RowScenario> {
  const mmio = { addr: store.address, len: 1 } as const;
  const pio = { addr: out.address, len: 1, pio: true } as const;
  const wildcard = kernel === "v3.9" ? mmio : { addr: store.address, len: 0 as const };
  return {
    "mmio-no-eventfd": { workload: [store] },
    "mmio-wildcard-eventfd": { workload: [store], ioeventfds: [wildcard] },
    "mmio-datamatch-eventfd": { workload: [store], ioeventfds: [{ ...mmio, datamatch: DATA }] },
    "portio-no-eventfd": { workload: [out] },
    "portio-wildcard-eventfd": { workload: [out], ioeventfds: [pio] },
    "portio-datamatch-eventfd": { workload: [out], ioeventfds: [{ ...pio, datamatch: DATA }] },
  };
}

/** Memory for the guest's program and tables. */
const MEMORY = { gpa: 0, size: 16 * 2 ** 20 } as const;

/** A page of a device as a slot that the guest may not write to. */
const READ_ONLY = [{ gpa: MMIO_BAR, size: PAGE, readonly: true }, MEMORY] as const;

/**
 * The kicks of pci-testdev where the page is in a read-only slot, which nobody has published: with an ioeventfd of any length,
 * one of the length of the access, and one that also compares the value. The page is never touched, so that no entry maps it,
 * or another place in it has been read, so that one does.
 */
const READ_ONLY_ROWS: Readonly<Record<string, RowScenario>> = Object.fromEntries(
  Object.entries({
    wildcard: { addr: store.address, len: 0 },
    sized: { addr: store.address, len: store.size },
    datamatch: { addr: store.address, len: store.size, datamatch: DATA },
  } as const).flatMap(([which, ioeventfd]) => {
    const row = { memslots: READ_ONLY, workload: [store], ioeventfds: [ioeventfd] };
    return [
      [`ro-${which}-untouched`, row],
      [`ro-${which}-populated`, { ...row, readFirst: MMIO_BAR }],
    ];
  }),
);

/** Memory that the host takes away again and again. */
const FRESH = { gpa: 16 * 2 ** 20, size: 2 * 2 ** 20 } as const;

/**
 * First touches of pages that the host has and KVM does not map yet, in tables that are there. They are so far apart that no
 * kernel maps more than the one that is touched (PTE_PREFETCH_NUM of arch/x86/kvm/mmu is 8 pages).
 */
const RAM_FAULT: RowScenario = {
  memslots: [FRESH, MEMORY],
  workload: [
    { op: "load", address: FRESH.gpa, size: 8, footprint: FRESH.size, stride: 8 * PAGE, fresh: true },
  ],
};

/** Ports of the other rows: a device in the kernel, one that nobody answers, the ACPI PM timer in QEMU. */
const KERNEL_PORT = 0x4d0;
const UNMAPPED_PORT = 0x1234;
const PMTIMER_PORT = 0xb008;

const DEVICES = {
  inKernelPorts: [{ port: KERNEL_PORT, len: 4 }],
  deviceModelPorts: [{ port: PMTIMER_PORT, len: 4 }],
} as const;

/** The rows that are older than pci-testdev, in the order in which they were published in 2012. */
export const ROWS_OF_2012 = {
  vmcall: { ...DEVICES, workload: [{ op: "vmcall" }] },
  // Whatever the names say, the two of the kernel's device access one byte.
  outl_to_kernel: { ...DEVICES, workload: [{ op: "out", address: KERNEL_PORT, size: 1 }] },
  inl_from_kernel: { ...DEVICES, workload: [{ op: "in", address: KERNEL_PORT, size: 1 }] },
  inl_from_qemu: { ...DEVICES, workload: [{ op: "in", address: UNMAPPED_PORT, size: 4 }] },
  inl_from_pmtimer: { ...DEVICES, workload: [{ op: "in", address: PMTIMER_PORT, size: 4 }] },
} as const satisfies Readonly<Record<string, RowScenario>>;

/** Rows of one instruction that exits and is answered from what KVM keeps. */
const KEPT_BY_KVM = {
  cpuid: { workload: [{ op: "cpuid" }] },
  rd_tsc_adjust_msr: { workload: [{ op: "rdmsr" }] },
  wr_tsc_adjust_msr: { workload: [{ op: "wrmsr" }] },
} as const satisfies Readonly<Record<string, RowScenario>>;

const SELF_IPIS = ["sti_nop", "sti_hlt", "tpr", "tpr_sti_nop", "tpr_sti_hlt"].map((how) => `self_ipi_${how}`);

/** What is missing, and for which rows. A name that changed is here twice. */
const MISSING: readonly (readonly [reason: string, names: readonly string[]])[] = [
  ["the task priority register is not modelled", ["mov_from_cr8", "mov_to_cr8"]],
  ["debug registers are not modelled", ["mov_dr"]],
  ["the timer of the local APIC is not modelled", ["tscdeadline_immed", "tscdeadline"]],
  [
    "interrupts are not modelled",
    ["ipi", "ipi_halt", "ipi+halt", ...SELF_IPIS, ...SELF_IPIS.map((name) => `x2apic_${name}`)],
  ],
  ["PAUSE and the waiting of vCPUs for each other are not modelled", ["ple_round_robin", "ple-round-robin"]],
  [
    "the guest writes the register itself, so it measures no exit",
    ["wr_kernel_gs_base", "wr_ibrs_msr", "wr_ibpb_msr"],
  ],
  ["KVM's handling of this register is not modelled", ["wr_tsx_ctrl_msr"]],
  ["writes of CR0 and CR4 are not modelled", ["toggle_cr0_wp", "toggle_cr4_pge"]],
  ["that KVM_RUN returns before it enters the guest is not modelled", ["immediate-exit"]],
];

/**
 * A row by its name, without what `vmexit` prints behind a colon; undefined for a name that no version of it has.
 *
 * @param kernel of the host: what QEMU asks for hangs on it
 */
export function vmexitRow(name: string, kernel: KernelVersion): VmexitRow | undefined {
  const rows: Record<string, RowScenario> = {
    ...pciTestdevRows(kernel),
    ...ROWS_OF_2012,
    ...KEPT_BY_KVM,
    ...READ_ONLY_ROWS,
    "ram-fault": RAM_FAULT,
  };
  if (Object.hasOwn(rows, name)) return { scenario: rows[name] };
  const missing = MISSING.find(([, names]) => names.includes(name));
  return missing && { notSimulated: missing[0] };
}

/** Runs a row and returns its counts per access. @param what names the study in errors @throws InputError */
export function countRow(machine: RowMachine, row: RowScenario, what: string): Counts {
  const { readFirst, ...own } = row;
  const scenario = parseScenario({ ...machine, ...own }, what);
  const host = new Machine(scenario, what);
  const guest = new DrawnGuest(host);
  const { ledger } = host.vm;
  if (readFirst !== undefined) read(host, readFirst);
  guest.execute(scenario.warmup);
  ledger.reset();
  const accesses = guest.execute(scenario.accesses ?? 0);
  const counts = Object.fromEntries(ledger.names.map((name, index) => [name, ledger.counts[index]]));
  return perOne(counts, accesses);
}

/** The guest reads a byte at an address that its workload's pages hold. */
function read({ vm }: Machine, address: number): void {
  const { instruction } = vm.vcpu;
  instruction.form = INSTRUCTION_FORMS.load;
  instruction.page = Math.floor(address / PAGE);
  instruction.offset = address % PAGE;
  instruction.size = 1;
  instruction.count = 1;
  vm.execute();
}
