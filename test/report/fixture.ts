/**
 * A made-up study in the shape and the size of the real one. The measured values are kvm-unit-tests' pci-testdev rows of 2013;
 * all else is invented for these tests.
 */
import { CATEGORIES, type Category } from "../../src/cost/primitive-costs.js";
import { conditionsOf } from "../../src/study/conditions.js";
import type {
  CalibratedRow,
  CostEstimate,
  FastMmioPrediction,
  Interval,
  PciTestdevStudy,
  Provenance,
} from "../../src/study/result.js";

type Parts = Partial<Record<Category, number>>;

function row(name: string, measured: number, parts: Parts): CalibratedRow {
  const breakdown = Object.fromEntries(
    CATEGORIES.map((category) => [category, parts[category] ?? 0]),
  ) as Record<Category, number>;
  const simulated = CATEGORIES.reduce((sum, category) => sum + breakdown[category], 0);
  return { name, measured, simulated, residual: (simulated - measured) / measured, breakdown };
}

const around = (value: number, spread: number): Interval => ({
  low: value - spread,
  value,
  high: value + spread,
});

function prediction(cpu: string, exitEvicts: string, references: number, walk: number): FastMmioPrediction {
  return {
    cpu,
    model: `Intel ${cpu}`,
    exitEvicts,
    references,
    portIo: around(1762, 14),
    fastMmio: around(1790 + walk, 22 + walk / 8),
    difference: around(28 + walk, 12 + walk / 8),
    walk: around(walk, walk / 8),
  };
}

function cost(
  name: string,
  category: Category,
  tag: CostEstimate["tag"],
  prior: Interval,
  fitted: Interval,
): CostEstimate {
  return {
    name,
    category,
    tag,
    prior,
    fitted,
    identified: tag === "measured",
    source: `made up, "for tests"`,
  };
}

const CPUS: Readonly<Record<string, number>> = {
  "lynnfield-i7-860": 1,
  "westmere-x990": 1.1,
  "sandy-bridge-ep": 0.8,
  "ivy-bridge-i7-3770k": 0.7,
};
const EVICTIONS: Readonly<Record<string, readonly [number, number]>> = {
  nothing: [3, 14],
  l1: [5, 43.5],
  "l1-l2": [8, 121],
  translations: [24, 168],
};

export const study: PciTestdevStudy = {
  provenance: {
    version: "0.1.0",
    model: "3f2a91c0",
    data: "b07c55d2",
    seed: 1,
    conditions: conditionsOf([
      { cpu: "lynnfield-i7-860", kernel: "v3.9" },
      { cpu: "sandy-bridge-ep", kernel: "v4.2" },
    ]),
    calibration: "kvm-unit-tests pci-testdev, 6 rows, mail of 2013-04-03 to the kvm list",
    shownAs: "Intel sandy-bridge-ep, exits evict l1",
    machine: "not stated in the mail (CPU, clock and kernel config unknown)",
    command: "npx exitlab study pci-testdev --cpu sandy-bridge-ep --exit-evicts l1 --accesses 1000 --seed 1",
  },
  rows: [
    row("mmio-no-eventfd", 8796, {
      walk: 62,
      memory: 8,
      exit: 1190,
      handler: 480,
      emulation: 1745,
      bus: 120,
      userspace: 5180,
    }),
    row("mmio-wildcard-eventfd", 3609, {
      walk: 62,
      memory: 8,
      exit: 1190,
      handler: 480,
      emulation: 1745,
      bus: 64,
      eventfd: 81,
    }),
    row("mmio-datamatch-eventfd", 3685, {
      walk: 62,
      memory: 8,
      exit: 1190,
      handler: 480,
      emulation: 1745,
      bus: 82,
      eventfd: 81,
    }),
    row("portio-no-eventfd", 5287, { exit: 1190, handler: 402, bus: 60, userspace: 3690 }),
    row("portio-wildcard-eventfd", 1762, { exit: 1190, handler: 402, bus: 96, eventfd: 81 }),
    row("portio-datamatch-eventfd", 1777, { exit: 1190, handler: 402, bus: 104, eventfd: 81 }),
  ],
  costs: [
    cost("exit-round-trip", "exit", "measured", around(1250, 250), around(1190, 40)),
    cost("violation-extra", "exit", "assumed", around(50, 250), around(-12, 60)),
    cost("vmcs-read", "handler", "derived", around(40, 20), around(33.25, 6)),
    cost("emulate-mov", "emulation", "derived", around(1600, 600), around(1745, 90)),
    cost("bus-probe", "bus", "assumed", around(10, 8), around(7.5, 4)),
    cost("eventfd-signal", "eventfd", "assumed", around(120, 80), around(81, 39)),
  ],
  rank: 4,
  inseparable: [
    ["exit-round-trip", "vmcs-read"],
    ["bus-probe", "eventfd-signal"],
  ],
  comparison: [
    {
      name: "mmio-wildcard-eventfd",
      measured: 3609,
      before: 3630,
      after: { low: 1502, value: 1834, high: 2020 },
    },
    {
      name: "portio-wildcard-eventfd",
      measured: 1762,
      before: 1769,
      after: { low: 1748, value: 1769, high: 1776 },
    },
  ],
  predictions: Object.entries(CPUS).flatMap(([cpu, scale]) =>
    Object.entries(EVICTIONS).map(([evicts, [references, walk]]) =>
      prediction(cpu, evicts, references, walk * scale),
    ),
  ),
  excluded: [{ cpu: "486", exitEvicts: "l1" }],
  difference: [
    { cost: "vmcs-read", times: 2 },
    { cost: "bus-probe", times: -1 },
  ],
  vmexit2012: {
    rows: [
      row("vmcall", 3898, { exit: 3701, handler: 196 }),
      row("outl_to_kernel", 4451, { exit: 3701, handler: 298, bus: 451 }),
    ],
    rank: 2,
  },
};

/** The same of a study that fits nothing. */
export const unfitted: Provenance = {
  version: "0.1.0",
  model: "3f2a91c0",
  data: "b07c55d2",
  seed: 1,
  conditions: study.provenance.conditions,
  command: "npx exitlab study made-up",
};

/** Text that would break out of any markup, script or attribute it is put into unescaped. */
export const HOSTILE = `<b>&"'</script><script>alert(1)</script>`;

/** The same study with hostile text wherever a name may stand. */
export const hostileStudy: PciTestdevStudy = {
  ...study,
  provenance: { ...study.provenance, calibration: HOSTILE, machine: HOSTILE, shownAs: HOSTILE },
  rows: study.rows.map((entry, i) => ({ ...entry, name: `${HOSTILE}${i}` })),
  costs: study.costs.map((entry) => ({ ...entry, source: HOSTILE })),
  predictions: study.predictions.map((entry) => ({
    ...entry,
    cpu: `${HOSTILE}${entry.cpu}`,
    exitEvicts: HOSTILE,
  })),
};
