/** A small one of every figure, and one of hostile text, for tests of what all of them have to have. */
import { plotBreakdown } from "../../src/report/breakdown.js";
import { plotCompare } from "../../src/report/compare/figure.js";
import { plotComparison, tornadoOf } from "../../src/report/comparison.js";
import { plotCrossover } from "../../src/report/crossover.js";
import { plotExitRows } from "../../src/report/exit-rows.js";
import { plotExits } from "../../src/report/exits.js";
import { plotFastMmio } from "../../src/report/fast-mmio.js";
import type { Figure } from "../../src/report/figure.js";
import { plotLifeOfFault } from "../../src/report/life-of-a-fault.js";
import { plotLoadLatency } from "../../src/report/load-latency.js";
import { plotNestedWalks } from "../../src/report/nested-walks.js";
import { plotPrices } from "../../src/report/price-breakdown.js";
import { plotReferenceCounts } from "../../src/report/reference-counts.js";
import { plotSweep } from "../../src/report/sweep-figure.js";
import { plotTornado } from "../../src/report/tornado.js";
import { plotWalk } from "../../src/report/walk.js";
import { simulatedComparison } from "./compare-fixture.js";
import { comparison } from "./comparison-fixture.js";
import { crossoverOptions, crossoverSweep } from "./crossover-fixture.js";
import { exitRows } from "./exit-rows-fixture.js";
import { exits } from "./exits-fixture.js";
import { HOSTILE, hostileStudy, study, unfitted } from "./fixture.js";
import { prices } from "./price-fixture.js";
import { accessesByVcpus, sweepOf } from "./sweep-fixture.js";
import { coldWalk, lifeOfFault, loadLatency, nestedWalks, referenceCounts } from "./walks-fixture.js";

export interface FigureCase {
  readonly figure: () => Figure;
  /** With hostile text wherever a name may stand. */
  readonly hostile: () => Figure;
  /** Titles of its axes of numbers, sorted. */
  readonly axes: readonly string[];
  /** What its costs rest on. */
  readonly basis: string;
}

const FITTED = "fitted to kvm-unit-tests";
const UNFITTED = "not fitted";

const hostileProvenance = { ...unfitted, calibration: HOSTILE, command: HOSTILE };
const hostileComparison = {
  ...comparison,
  provenance: hostileProvenance,
  machine: HOSTILE,
  a: { ...comparison.a, name: HOSTILE },
  b: { ...comparison.b, name: `${HOSTILE}B` },
  swings: comparison.swings.map((swing) => ({
    ...swing,
    cost: { ...swing.cost, name: `${HOSTILE}${swing.cost.name}` },
  })),
};
const swept = (name: string) =>
  sweepOf(
    [1, 2, 4].flatMap((vcpus) =>
      ["v4.2", name].flatMap((kernel) =>
        [1, 2].map((seed) => [{ vcpus, kernel, seed }, 10 * vcpus + seed] as const),
      ),
    ),
  );

/** By the name of the function that draws it. */
export const EVERY_FIGURE: Readonly<Record<string, FigureCase>> = {
  plotBreakdown: {
    figure: () => plotBreakdown(study),
    hostile: () => plotBreakdown(hostileStudy),
    axes: ["TSC cycles per access"],
    basis: FITTED,
  },
  plotComparison: {
    figure: () => plotComparison(comparison),
    hostile: () => plotComparison(hostileComparison),
    axes: ["difference, TSC cycles per access", "share of the draws"],
    basis: UNFITTED,
  },
  plotCompare: {
    figure: () => plotCompare(simulatedComparison),
    hostile: () =>
      plotCompare({
        ...simulatedComparison,
        provenance: hostileProvenance,
        machine: HOSTILE,
        columns: simulatedComparison.columns.map((column) => `${HOSTILE}${column}`),
        rows: simulatedComparison.rows.map((row) => ({ ...row, name: `${HOSTILE}${row.name}` })),
      }),
    axes: ["difference from none, %"],
    basis: UNFITTED,
  },
  plotCrossover: {
    figure: () => plotCrossover(crossoverSweep(), crossoverOptions),
    hostile: () =>
      plotCrossover(crossoverSweep({ sides: ["name", "plain", HOSTILE] }), {
        ...crossoverOptions,
        by: "name",
      }),
    axes: ["vcpus", "workload[0].weight"],
    basis: UNFITTED,
  },
  plotExitRows: {
    figure: () => plotExitRows(exitRows),
    hostile: () =>
      plotExitRows({
        ...exitRows,
        provenance: hostileProvenance,
        machines: exitRows.machines.map((machine) => ({
          ...machine,
          measurement: HOSTILE,
          machine: HOSTILE,
          rows: machine.rows.map((row) => ({ ...row, row: `${HOSTILE}${row.row}` })),
        })),
      }),
    axes: ["predicted less measured, % of measured; lines at 5% and 15%"],
    basis: UNFITTED,
  },
  plotExits: {
    figure: () => plotExits(exits),
    hostile: () =>
      plotExits({
        ...exits,
        provenance: hostileProvenance,
        machine: HOSTILE,
        reasons: exits.reasons.map((of) => ({ ...of, reason: `${HOSTILE}${of.reason}` })),
      }),
    axes: ["share of the reason's exits that take at most that", "time of an exit, TSC cycles"],
    basis: UNFITTED,
  },
  plotFastMmio: {
    figure: () => plotFastMmio(study),
    hostile: () => plotFastMmio(hostileStudy),
    axes: [
      "Difference and page walk<br>TSC cycles per access",
      "Port I/O and fast MMIO<br>TSC cycles per access",
    ],
    basis: FITTED,
  },
  plotLifeOfFault: {
    figure: () => plotLifeOfFault(lifeOfFault),
    hostile: () =>
      plotLifeOfFault({
        ...lifeOfFault,
        machine: HOSTILE,
        steps: lifeOfFault.steps.map((step) => ({ ...step, what: HOSTILE, exits: [HOSTILE] })),
      }),
    axes: ["times in the step"],
    basis: UNFITTED,
  },
  plotLoadLatency: {
    figure: () => plotLoadLatency(loadLatency),
    hostile: () =>
      plotLoadLatency({
        ...loadLatency,
        machines: loadLatency.machines.map((machine) => ({ ...machine, cpu: HOSTILE, model: HOSTILE })),
      }),
    axes: [
      "<b>lynnfield-i7-860</b><br>core cycles per load",
      "footprint, bytes",
      "footprint, bytes",
      "footprint, bytes",
    ],
    basis: UNFITTED,
  },
  plotNestedWalks: {
    figure: () => plotNestedWalks(nestedWalks),
    hostile: () =>
      plotNestedWalks({
        ...nestedWalks,
        machine: HOSTILE,
        points: nestedWalks.points.map((point) => ({ ...point, paging: `${HOSTILE}${point.paging}` })),
      }),
    axes: [
      "Core cycles per load, translation",
      "Core cycles per load, with the datum",
      "References per walk",
      "footprint, bytes",
      "footprint, bytes",
      "footprint, bytes",
    ],
    basis: UNFITTED,
  },
  plotPrices: {
    figure: () => plotPrices({ "Linux 4.2": { ...prices["Linux 4.2"], provenance: unfitted } }),
    hostile: () => plotPrices({ [HOSTILE]: { ...prices["Linux 4.2"], provenance: hostileProvenance } }),
    axes: ["TSC cycles per access"],
    basis: UNFITTED,
  },
  plotReferenceCounts: {
    figure: () => plotReferenceCounts(referenceCounts),
    hostile: () => plotReferenceCounts({ ...referenceCounts, machine: HOSTILE }),
    axes: ["EPT: levels, size of all its pages", "guest: paging mode, page size"],
    basis: UNFITTED,
  },
  plotSweep: {
    figure: () => plotSweep(swept("v6.19"), accessesByVcpus),
    hostile: () =>
      plotSweep(swept(HOSTILE), {
        ...accessesByVcpus,
        title: HOSTILE,
        xTitle: HOSTILE,
        yTitle: `${HOSTILE}y`,
      }),
    axes: ["accesses", "vCPUs"],
    basis: UNFITTED,
  },
  plotTornado: {
    figure: () => plotTornado(tornadoOf(comparison)),
    hostile: () => plotTornado(tornadoOf(hostileComparison)),
    axes: ["TSC cycles per access; dashed line: -16, every cost at its value"],
    basis: UNFITTED,
  },
  plotWalk: {
    figure: () => plotWalk(coldWalk),
    hostile: () => plotWalk({ ...coldWalk, machine: HOSTILE }),
    axes: [],
    basis: UNFITTED,
  },
};
