/** A host whose costs are known: what its tools would print there, with noise. */
import { loadCpu } from "../../../src/cost/cpu-profile.js";
import { exitFootprints } from "../../../src/cost/exit-footprint.js";
import { type PrimitiveCost, primitiveCosts, tracingCosts } from "../../../src/cost/primitive-costs.js";
import type { KernelVersion } from "../../../src/kvm/eras.js";
import { exitReasonName } from "../../../src/kvm/exit-reasons.js";
import { printFtrace } from "../../../src/kvm/ftrace.js";
import type { Mitigations } from "../../../src/kvm/kvm.js";
import { PRIMITIVES } from "../../../src/kvm/primitives.js";
import { Trace } from "../../../src/kvm/trace.js";
import { run } from "../../../src/study/run/run.js";
import type { ScenarioInput } from "../../../src/study/run/scenario.js";
import { vmexitRow } from "../../../src/study/vmexit-rows.js";
import { Random } from "../../../src/workload/random.js";

export interface Machine {
  readonly cpu: string;
  readonly kernel: KernelVersion;
  readonly mitigations: Mitigations;
}

/** The rows of vmexit that are simulated, as it prints them. */
export const ROWS = [
  "cpuid",
  "vmcall",
  "inl_from_pmtimer",
  "inl_from_qemu",
  "inl_from_kernel",
  "outl_to_kernel",
  "wr_tsc_adjust_msr",
  "rd_tsc_adjust_msr",
  "mmio-no-eventfd:pci-mem",
  "mmio-wildcard-eventfd:pci-mem",
  "mmio-datamatch-eventfd:pci-mem",
  "portio-no-eventfd:pci-io",
  "portio-wildcard-eventfd:pci-io",
  "portio-datamatch-eventfd:pci-io",
];

/** What is over when the clock of perf and ftrace starts, or comes after it has stopped. */
const OUTSIDE = new Set([
  "exitTransition",
  "eptExitExtra",
  "eptViolationExtra",
  "exitMitigation",
  "vcpuEnterGuest",
]);

export class SyntheticHost {
  /** Cycles of each cost, somewhere in its prior range. */
  readonly truth: ReadonlyMap<string, number>;
  private readonly costs: readonly PrimitiveCost[];
  private readonly tscMhz: number;
  private readonly isAmd: boolean;
  private readonly random: Random;

  constructor(
    readonly machine: Machine,
    seed: number,
  ) {
    const cpu = loadCpu(machine.cpu);
    this.isAmd = cpu.vendor === "AMD";
    this.tscMhz = cpu.clock.tsc.value;
    this.random = new Random(seed);
    this.costs = [...primitiveCosts(cpu, machine.kernel), ...tracingCosts(cpu)];
    this.truth = new Map(
      this.costs.map(({ name, low, high }) => [name, low + this.random.fraction() * (high - low)]),
    );
  }

  /** Cycles of a row, as the guest sees them. */
  rowCycles(row: string): number {
    const known = vmexitRow(row.split(":")[0], this.machine.kernel);
    if (known === undefined || !("scenario" in known)) throw new Error(`${row} is not simulated`);
    const footprint = exitFootprints("light").value;
    const { counts, accesses } = run({
      ...this.base,
      ...known.scenario,
      exitFootprint: footprint,
      accesses: 2000,
    });
    return this.cycles(PRIMITIVES.map((name) => counts[name])) / accesses;
  }

  /** What vmexit.flat prints in a few runs; each row is off by up to 0.8% of it. */
  vmexit(runs = 5, rows: readonly string[] = ROWS): string {
    const cycles = rows.map((row) => [row, this.rowCycles(row)] as const);
    const once = () => cycles.map(([row, of]) => `${row} ${Math.round(of * this.noise(0.008))}\n`).join("");
    return `enabling apic\npaging enabled\n${Array.from({ length: runs }, once).join("")}mov_dr 64\nwr_tsx_ctrl_msr (skipped)\n`;
  }

  /** What the guest does while perf or ftrace records it: exits of many kinds. */
  get scenario(): ScenarioInput {
    return {
      ...this.base,
      inKernelPorts: [{ port: 0x4d0, len: 4 }],
      ioeventfds: [
        { addr: 0xc000, len: 1, pio: true },
        { addr: 0xfebf0000, len: 1, datamatch: 1 },
      ],
      workload: [
        { op: "cpuid" },
        { op: "rdmsr" },
        { op: "wrmsr" },
        { op: "vmcall" },
        { op: "out", address: 0xc000 },
        { op: "out", address: 0x4d0 },
        { op: "in", address: 0x1234 },
        { op: "store", address: 0xfebf0000, value: 1 },
        { op: "load", address: 0xfebf1000 },
        { op: "load", address: 0, footprint: 2 ** 20, pattern: "uniform" },
      ],
      warmup: 4000,
      accesses: 3000,
    };
  }

  /** What `perf kvm stat report` prints of it; each exit is off by up to 3%. */
  perf(): string {
    const times = new Map<string, number[]>();
    let open: { reason: string; at: number; recorded: number } | undefined;
    for (const { event, counts } of this.trace().records()) {
      if (event.event === "kvm_exit") {
        const reason = exitReasonName(event.isa, event.exitReason);
        const isMsr = reason === "msr" || reason.startsWith("MSR_");
        // Today's perf also records kvm_msr.
        open = {
          reason,
          at: this.inside(counts),
          recorded: isMsr && this.machine.kernel === "v6.19" ? 2 : 1,
        };
      } else if (open === undefined) continue;
      else if (event.event === "kvm_mmio" || event.event === "kvm_pio") open.recorded++;
      else if (event.event === "kvm_entry") {
        const recording = open.recorded * this.costOf("perfRecording");
        const us = ((this.inside(counts) - open.at + recording) * this.noise(0.03)) / this.tscMhz;
        times.set(open.reason, [...(times.get(open.reason) ?? []), us]);
        open = undefined;
      }
    }
    return perfReport(times);
  }

  /** What ftrace would print of it, so without the word that it is simulated; each time stamp is off by up to 10 cycles. */
  ftrace(): string {
    let late = 0;
    const text = printFtrace(this.trace(), {
      kernel: this.machine.kernel,
      fraction: 9,
      time: (counts) => {
        const seconds = (this.inside(counts) + late) / (this.tscMhz * 1e6);
        late += this.costOf("ftraceRecording") + 10 * (2 * this.random.fraction() - 1);
        return seconds;
      },
    });
    return text.replace(/^# SIMULATED .*\n/, "");
  }

  private get base() {
    const paging = this.isAmd ? "npt" : "ept";
    return { ...this.machine, paging, memslots: [{ gpa: 0, size: 2 ** 26 }] } as const;
  }

  private trace(): Trace {
    const trace = new Trace(2 ** 18);
    run(this.scenario, "scenario", { trace });
    return trace;
  }

  private costOf(name: string): number {
    const cycles = this.truth.get(name);
    if (cycles === undefined) throw new Error(`there is no cost ${name}`);
    return cycles;
  }

  private cycles(counts: ArrayLike<number>, isSeen: (cost: string) => boolean = () => true): number {
    return this.costs.reduce((sum, { name, primitives }) => {
      if (!isSeen(name)) return sum;
      const times = primitives.reduce((n, primitive) => n + (counts[PRIMITIVES.indexOf(primitive)] ?? 0), 0);
      return sum + times * this.costOf(name);
    }, 0);
  }

  private inside(counts: Float64Array): number {
    return this.cycles(counts, (cost) => !OUTSIDE.has(cost));
  }

  /** A factor around 1. */
  private noise(share: number): number {
    return 1 + share * (2 * this.random.fraction() - 1);
  }
}

/** As print_result() of perf prints it, the rows by their samples. */
function perfReport(times: ReadonlyMap<string, readonly number[]>): string {
  const all = [...times.values()].flat();
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const rows = [...times]
    .sort(([, one], [, other]) => other.length - one.length)
    .map(([reason, us]) => {
      const n = us.length;
      const mean = sum(us) / n;
      const variance = n < 2 ? 0 : sum(us.map((time) => (time - mean) ** 2)) / (n - 1);
      const share = (value: number) => `${(100 * value).toFixed(2)}%`;
      const [least, most] = [Math.min(...us), Math.max(...us)];
      return (
        `${reason.padStart(20)} ${n} ${share(n / all.length)} ${share(sum(us) / sum(all))} ` +
        `${least.toFixed(2)}us ${most.toFixed(2)}us ${mean.toFixed(2)}us ( +- ${share(Math.sqrt(variance / n) / mean)} )`
      );
    });
  return [
    "Analyze events for all VMs, all VCPUs:",
    "",
    "VM-EXIT Samples Samples% Time% Min Time Max Time Avg time",
    "",
    ...rows,
    "",
    `Total Samples:${all.length}, Total events handled time:${sum(all).toFixed(2)}us.`,
    "",
  ].join("\n");
}
