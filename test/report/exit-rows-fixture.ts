/** A made-up study of published rows: one of each outcome. */
import type { ExitRow, ExitRowsStudy } from "../../src/study/exit-rows.js";
import { unfitted } from "./fixture.js";

export const predicted: ExitRow = {
  row: "portio-datamatch-eventfd",
  measured: 1777,
  steps: "simulated",
  declared: {},
  because: "",
  outcome: "predicted",
  prediction: {
    predicted: 1838,
    error: 61 / 1777,
    spread: 0.032,
    from: [
      { row: "mmio-datamatch-eventfd", weight: 1 },
      { row: "mmio-wildcard-eventfd", weight: -0.99999999 },
    ],
    evidence: "difference",
    simulated: true,
    needsSharedCosts: false,
    explanation: "the comparison costs more in the MMIO rows",
  },
  priors: { low: 600, high: 5000 },
  priorsAndRows: { low: 1747, high: 1880 },
};
const declared: ExitRow = {
  row: "tscdeadline adv",
  measured: 4663.75,
  steps: "declared",
  declared: { wait: 1, interrupt: 1 },
  because: "the wait hides what comes before",
  outcome: "predicted",
  prediction: {
    predicted: 4537,
    error: -126.75 / 4663.75,
    spread: 0.014,
    from: [{ row: "tscdeadline adv+fast", weight: 1 }],
    evidence: "same path",
    simulated: false,
    needsSharedCosts: false,
  },
  priors: { low: 0, high: 17000 },
  priorsAndRows: null,
};
const unpredictable: ExitRow = {
  row: "vmcall",
  measured: 3898,
  steps: "simulated",
  declared: {},
  because: "",
  outcome: "not predictable",
  priors: { low: 588, high: 4430 },
  priorsAndRows: { low: 588, high: 4430 },
};
const unknown: ExitRow = {
  row: "ipi",
  measured: 4238,
  steps: "none",
  declared: {},
  because: "interrupts are not modelled",
  outcome: "not simulated",
};

const errors = { points: 2, median: 0.0272, p90: 0.0343, worst: 61 / 1777, bias: -0.0272 };
export const exitRows: ExitRowsStudy = {
  provenance: unfitted,
  machines: [
    {
      measurement: "made-up-2013",
      machine: "CPU not stated",
      kernel: "KVM of April 2013",
      source: "a mail",
      as: { cpu: "sandy-bridge-ep", kernel: "v3.9", exitEvicts: "l1" },
      relations: 2,
      rows: [predicted, declared, unpredictable, unknown],
    },
  ],
  all: errors,
  differences: { ...errors, points: 1 },
  simulated: { ...errors, points: 1 },
};
