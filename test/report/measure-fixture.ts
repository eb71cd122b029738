/** A made-up measurement of a made-up host, and what the model says of it. Nothing of it was measured. */
import type { HostMachine } from "../../src/host/machine.js";
import type { HostComparison } from "../../src/study/measure/compare-with-host.js";
import type { HostMeasurement, MeasuredRow } from "../../src/study/measure/result.js";
import { unfitted } from "./fixture.js";

const machine: HostMachine = {
  cpuModel: "Made-up CPU @ 2.00GHz",
  vendor: "GenuineIntel",
  family: 6,
  model: 85,
  stepping: 4,
  microcode: "0x1",
  kernel: "6.1.0-made-up #1 SMP",
  kvmModule: "kvm_intel",
  parameters: { "kvm.mmio_caching": "Y", "kvm_intel.ept": "Y" },
  paging: "ept",
  mmioCaching: true,
  mitigations: { meltdown: "Not affected", retbleed: "Mitigation: IBRS" },
  virtualized: null,
  governor: "performance",
  turbo: false,
  smt: false,
  onlineCpus: "0-3",
  isolatedCpus: "3",
  coreSiblings: [],
  clocksource: "tsc",
  tscFlags: ["constant_tsc", "nonstop_tsc"],
  perfEventParanoid: 2,
};

/** A row whose six runs lie at and around a median. */
function row(name: string, median: number, half: number, other: Partial<MeasuredRow> = {}): MeasuredRow {
  const runs = [-1, -0.5, 0, 0, 0.5, 1].map((share) => {
    const of = median + share * half;
    return { median: of, low: of - half / 2, high: of + half / 2 };
  });
  return {
    name,
    unit: "TSC cycles",
    median,
    low: median - half,
    high: median + half,
    spread: 3 * half,
    batches: 300,
    accessesPerBatch: 100,
    runs,
    noisy: false,
    did: {
      signals: 0,
      userspaceExits: {},
      kvm: { exits: 1.002, insn_emulation: 0, pf_taken: 0 },
      pmu: { "dtlb_store_misses.walk_completed": 1.01 },
    },
    ...other,
  };
}

const did = (other: object) => ({ did: { ...row("", 1, 0).did, ...other } as MeasuredRow["did"] });

export const measurement: HostMeasurement = {
  version: "0.1.0",
  date: "2026-01-02T03:04:05.000Z",
  command: "npx exitlab measure --pin 3",
  machine,
  tsc: { mhz: 2000, measured: [1999.9, 2000.1], doubts: [] },
  pinned: 3,
  relativeHalfWidth: 0.01,
  rows: [
    row("mmio-no-eventfd", 9100, 80, {
      ...did({
        userspaceExits: { KVM_EXIT_MMIO: 1 },
        kvm: { exits: 1.01, insn_emulation: 1, pf_taken: 0 },
      }),
      noisy: true,
    }),
    row("mmio-wildcard-eventfd", 1300, 6, did({ signals: 1 })),
    row("ro-wildcard-untouched", 2900.4, 10, did({ signals: 1, kvm: null })),
    row("immediate-exit", 750, 5, { unit: "ns", did: null }),
  ],
  unfinished: [],
  failed: [],
  interrupted: null,
  pmuNotes: [],
  limits: [],
  advice: [],
};

export const hostComparison: HostComparison = {
  provenance: unfitted,
  model: "Made-up CPU",
  mitigations: "off",
  paging: "ept",
  mmioCaching: true,
  host: "bare-metal",
  fitted: false,
  rows: [
    {
      name: "mmio-no-eventfd",
      measured: { median: 9100, low: 9020, high: 9180 },
      predicted: { low: 3000, value: 14000, high: 30000 },
      fromOthers: { low: 4000, high: 28000 },
    },
    {
      name: "mmio-wildcard-eventfd",
      measured: { median: 1300, low: 1294, high: 1306 },
      predicted: { low: 400, value: 2500, high: 6000 },
      fromOthers: { low: 1310, high: 1800 },
    },
    {
      name: "ro-wildcard-untouched",
      measured: { median: 2900.4, low: 2890.4, high: 2910.4 },
      predicted: { low: 700, value: 1600, high: 2800 },
      fromOthers: null,
    },
  ],
  notPredicted: [{ name: "immediate-exit", reason: "it is not modelled" }],
};
