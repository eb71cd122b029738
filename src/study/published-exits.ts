/**
 * The published rows of `data/measurements` and what each of them executes.
 *
 * Where the model has a row's exits, a run counts its steps: *simulated*. Where it has not, the steps are *declared*: what the
 * row's test and its source say that it does and that other rows of the machine do too. A declared step has a name and no
 * other meaning; it stands for everything that happens together with it. Rows of which neither can be said stay without.
 *
 * What the tests do is in x86/vmexit.c of kvm-unit-tests: `tscdeadline_immed` writes a deadline that has passed and goes on,
 * `tscdeadline` one 3000 cycles ahead, and spins until its interrupt has come.
 *
 * Left out are published figures that are no exits of a plain virtual machine under KVM: writes of MSRs that the guest makes
 * itself, loops of the emulator, parts of one KVM_RUN, guests of guests, other hypervisors.
 */
import type { Counts } from "../cost/counts.js";
import type { RowMachine } from "./vmexit-rows.js";

/** What a row executes per access. */
export interface PublishedRow {
  /** The row of `vmexit` whose simulation it is. */
  readonly simulated?: string;
  /** Steps beside those, by name. */
  readonly declared?: Counts;
  /** Why these steps, or why none. */
  readonly because?: string;
  /** What makes its prediction differ from it. */
  readonly explanation?: string;
}

export interface PublishedMachine {
  /** File in `data/measurements`, without its extension. */
  readonly measurement: string;
  /** What simulated rows run on, and whose prior ranges are shown. */
  readonly as: Pick<RowMachine, "cpu" | "kernel" | "paging" | "mitigations" | "exitEvicts">;
  readonly rows: Readonly<Record<string, PublishedRow>>;
}

const COMPARISON =
  "one comparison of eight bytes took 76 cycles in the MMIO rows and 15 in those of the port: the four means stand without " +
  "a spread, and about 1% of each already makes 57 cycles between the two differences";

const FAST = "its exit goes back to the guest in the fast path, without what KVM does outside of it";
const ADVANCED =
  "the timer fires early and KVM waits for the deadline, so what comes before the deadline is hidden in the wait";
const WAITED = "what little of the exit is left behind the deadline, the fast path shortens too";

const TWO_TIMERS =
  "the test arms the timer of the row once and takes its interrupt once; the rows of a timer differ by the wait of 3000 cycles";

const KEPT = "the MMU keeps its root, so a write that changes its role costs the exits and no table";
const LET_GO =
  "the root is let go and found again among KVM's shadow pages, whichever of the two MMUs has them";

const IPI = "interrupts between vCPUs are not modelled, and no two rows take one path";
const SNP =
  "the guest's own handler of #VC asks for the exit: not modelled, and no two rows are asked for alike";

export const PUBLISHED_EXITS: readonly PublishedMachine[] = [
  {
    measurement: "pci-testdev-2013",
    as: { cpu: "sandy-bridge-ep", kernel: "v3.9", exitEvicts: "l1" },
    rows: {
      "mmio-no-eventfd": { simulated: "mmio-no-eventfd" },
      "mmio-wildcard-eventfd": { simulated: "mmio-wildcard-eventfd", explanation: COMPARISON },
      "mmio-datamatch-eventfd": { simulated: "mmio-datamatch-eventfd", explanation: COMPARISON },
      "portio-no-eventfd": { simulated: "portio-no-eventfd" },
      "portio-wildcard-eventfd": { simulated: "portio-wildcard-eventfd", explanation: COMPARISON },
      "portio-datamatch-eventfd": { simulated: "portio-datamatch-eventfd", explanation: COMPARISON },
    },
  },
  {
    measurement: "vmexit-2012",
    as: { cpu: "sandy-bridge-ep", kernel: "v3.9", exitEvicts: "l1" },
    rows: {
      vmcall: { simulated: "vmcall" },
      outl_to_kernel: { simulated: "outl_to_kernel" },
      inl_from_kernel: { simulated: "inl_from_kernel" },
      inl_from_qemu: { simulated: "inl_from_qemu" },
      inl_from_pmtimer: { simulated: "inl_from_pmtimer" },
    },
  },
  {
    measurement: "tscdeadline-haswell-2017",
    as: { cpu: "haswell-ep-e5-2660v3", kernel: "v6.19" },
    rows: {
      "tscdeadline hrtimer": { declared: { wait: 1, interrupt: 1, hrtimer: 1 }, because: TWO_TIMERS },
      "tscdeadline preemption": {
        declared: { wait: 1, interrupt: 1, preemptionTimer: 1 },
        because: TWO_TIMERS,
      },
      "tscdeadline_immed hrtimer": {
        declared: { exitMsrWrite: 1, interrupt: 1, hrtimer: 1 },
        because: TWO_TIMERS,
      },
      "tscdeadline_immed preemption": {
        declared: { exitMsrWrite: 1, interrupt: 1, preemptionTimer: 1 },
        because: TWO_TIMERS,
      },
    },
  },
  {
    measurement: "tscdeadline-skylake-2020",
    as: { cpu: "skylake-sp-platinum-8160", kernel: "v6.19", mitigations: "auto" },
    rows: {
      tscdeadline_immed: {
        declared: { exitMsrWrite: 1, interrupt: 1, outsideFastPath: 1 },
        because: "one exit for WRMSR, and the interrupt of a deadline that has passed",
      },
      "tscdeadline_immed fast": { declared: { exitMsrWrite: 1, interrupt: 1 }, because: FAST },
      "tscdeadline_immed adv": {
        declared: { exitMsrWrite: 1, interrupt: 1, outsideFastPath: 1, adjustAdvance: 1 },
        because: "as without, and KVM adjusts by how much it is early",
      },
      "tscdeadline_immed adv+fast": {
        declared: { exitMsrWrite: 1, interrupt: 1, adjustAdvance: 1 },
        because: FAST,
      },
      tscdeadline: {
        declared: { wait: 1, interrupt: 1, exitPreemptionTimer: 1, outsideFastPath: 1 },
        because: "the exit for WRMSR is hidden in the wait of 3000 cycles; one for the timer follows",
      },
      "tscdeadline fast": { declared: { wait: 1, interrupt: 1, exitPreemptionTimer: 1 }, because: FAST },
      "tscdeadline adv": {
        declared: { wait: 1, interrupt: 1, entryAfterWait: 1 },
        because: ADVANCED,
        explanation: WAITED,
      },
      "tscdeadline adv+fast": {
        declared: { wait: 1, interrupt: 1, entryAfterWait: 1 },
        because: ADVANCED,
        explanation: WAITED,
      },
    },
  },
  {
    measurement: "vmcall-skylake-2020",
    as: { cpu: "skylake-sp-platinum-8160", kernel: "v6.19", mitigations: "auto" },
    rows: {
      "vmcall with PMU switch": {
        simulated: "vmcall",
        declared: { pmuSwitch: 1 },
        because: "the patch leaves out the switch of PMU registers, which is in no other row",
      },
      vmcall: { simulated: "vmcall" },
    },
  },
  {
    measurement: "ipi-skylake-2020",
    as: { cpu: "skylake-sp-platinum-8160", kernel: "v6.19" },
    rows: { ipi: { because: IPI }, "ipi fast": { because: IPI }, "ipi ultra-fast": { because: IPI } },
  },
  {
    measurement: "ipi-skylake",
    as: { cpu: "skylake-sp-platinum-8160", kernel: "v6.19" },
    rows: { "ipi before": { because: IPI }, "ipi after": { because: IPI } },
  },
  {
    measurement: "role-change-2022",
    as: { cpu: "cascade-lake-sp-gold-6212u", kernel: "v6.19" },
    rows: {
      "TDP MMU before": {
        declared: { writeCr: 1, rebuildTables: 1 },
        because: "the MMU drops all its tables, and the guest's next accesses fault them in: in no other row",
      },
      "TDP MMU after": { declared: { writeCr: 1 }, because: KEPT },
      "legacy MMU before": { declared: { writeCr: 1, findRoot: 1 }, because: LET_GO },
      "legacy MMU after": { declared: { writeCr: 1 }, because: KEPT },
      "shadow paging before": { declared: { writeCr: 1, syncShadow: 1, findRoot: 1 }, because: LET_GO },
      "shadow paging after": {
        declared: { writeCr: 1, syncShadow: 1 },
        because: `${KEPT}, but what only shadow paging does for such a write`,
      },
    },
  },
  {
    measurement: "outl-eibrs-2022",
    as: { cpu: "cascade-lake-sp-gold-6212u", kernel: "v6.19", mitigations: "auto" },
    rows: {
      outl_to_kernel: { simulated: "outl_to_kernel" },
      "outl_to_kernel RSB": {
        simulated: "outl_to_kernel",
        declared: { rsbFill: 1 },
        because: "one entry of the return stack filled after the exit, which is in no other row",
      },
      "outl_to_kernel proposed": {
        simulated: "outl_to_kernel",
        because: "taken for the exit without the fill, which the patch would avoid",
      },
    },
  },
  {
    measurement: "cpuid-2024",
    as: { cpu: "ice-lake-sp-platinum-8351n", kernel: "v6.19", mitigations: "auto" },
    rows: {
      "cpuid pinned": { simulated: "cpuid" },
      "cpuid pinned, changed": {
        simulated: "cpuid",
        declared: { change: 1 },
        because: "the change of KVM that the mail is about runs once per exit",
      },
      "cpuid unpinned": {
        simulated: "cpuid",
        declared: { unpinned: 1 },
        because: "what eight vCPUs on no fixed processors cost each exit",
      },
      "cpuid unpinned, changed": {
        simulated: "cpuid",
        declared: { change: 1, unpinned: 1 },
        because: "the change of KVM and the unpinned vCPUs, neither of which changes what the other does",
      },
    },
  },
  {
    measurement: "cpuid-kauer-2024",
    as: { cpu: "ice-lake-sp-platinum-8351n", kernel: "v6.19", mitigations: "auto" },
    rows: { cpuid: { simulated: "cpuid" } },
  },
  {
    measurement: "exits-epyc-2024",
    as: { cpu: "zen-4-ryzen-9-7950x", kernel: "v6.19", paging: "npt", mitigations: "auto" },
    rows: {
      "cpuid(1)": { simulated: "cpuid" },
      "cpuid(0xb)": { simulated: "cpuid" },
      "rdmsr 0x1b": {
        simulated: "rd_tsc_adjust_msr",
        because: "IA32_APIC_BASE, like IA32_TSC_ADJUST a register that KVM keeps",
      },
      hypercall: { simulated: "vmcall" },
      "in 0x40": { because: "the source does not say whether the timer at this port was KVM's or QEMU's" },
    },
  },
  {
    measurement: "exits-epyc-snp-2024",
    as: { cpu: "zen-4-ryzen-9-7950x", kernel: "v6.19", paging: "npt", mitigations: "auto" },
    rows: {
      "cpuid(1)": { because: "answered from a page of the guest's own, without the exit" },
      "cpuid(0xb)": { because: SNP },
      "rdmsr 0x1b": { because: SNP },
      hypercall: { because: SNP },
      "in 0x40": { because: SNP },
    },
  },
];
