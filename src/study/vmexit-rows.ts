/**
 * The rows that `vmexit` of kvm-unit-tests prints, as the parts of scenarios that make them; and those that nothing here
 * makes, with what is missing. Names, ports and sizes are those of x86/vmexit.c, of the rows of pci-testdev those of QEMU's
 * docs/specs/pci-testdev.txt.
 */
import { type Counts, perOne } from "../cost/counts.js";
import type { KernelVersion } from "../kvm/eras.js";
import { run } from "./run/run.js";
import type { ScenarioInput } from "./run/scenario.js";

/** A row of kvm-unit-tests as the part of a scenario that makes it. */
export type RowScenario = Pick<
  ScenarioInput,
  "workload" | "ioeventfds" | "inKernelPorts" | "deviceModelPorts"
>;

/** The rest of the scenario: on what machine. */
export type RowMachine = Omit<ScenarioInput, keyof RowScenario>;

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
];

/**
 * A row by its name, without what `vmexit` prints behind a colon; undefined for a name that no version of it has.
 *
 * @param kernel of the host: what QEMU asks for hangs on it
 */
export function vmexitRow(name: string, kernel: KernelVersion): VmexitRow | undefined {
  const rows: Record<string, RowScenario> = { ...pciTestdevRows(kernel), ...ROWS_OF_2012, ...KEPT_BY_KVM };
  if (Object.hasOwn(rows, name)) return { scenario: rows[name] };
  const missing = MISSING.find(([, names]) => names.includes(name));
  return missing && { notSimulated: missing[0] };
}

/** Runs a row and returns its counts per access. @param what names the study in errors @throws InputError */
export function countRow(machine: RowMachine, row: RowScenario, what: string): Counts {
  const { counts, accesses } = run({ ...machine, ...row }, what);
  return perOne(counts, accesses);
}
