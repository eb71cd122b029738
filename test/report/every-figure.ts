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
import { plotMeasured } from "../../src/report/measure-figure.js";
import { plotNestedWalks } from "../../src/report/nested-walks.js";
import { plotPrices } from "../../src/report/price-breakdown.js";
import { plotReferenceCounts } from "../../src/report/reference-counts.js";
import { plotSweep } from "../../src/report/sweep-figure.js";
import { plotDesigns } from "../../src/report/thread/designs.js";
import { plotBypass } from "../../src/report/thread/objections/bypass.js";
import { plotFaultTax } from "../../src/report/thread/objections/fault-tax.js";
import { plotReads } from "../../src/report/thread/objections/reads.js";
import { plotSlotPrice } from "../../src/report/thread/objections/slot-price.js";
import { plotOpenSwitches } from "../../src/report/thread/open-switches.js";
import { plotQuestion } from "../../src/report/thread/question.js";
import { plotRates } from "../../src/report/thread/rates.js";
import { plotConditions, plotOvertakes } from "../../src/report/thread/sweep.js";
import { plotTlbArgument } from "../../src/report/thread/tlb-argument.js";
import { plotVerdict } from "../../src/report/thread/verdict.js";
import { plotTornado } from "../../src/report/tornado.js";
import { plotWalk } from "../../src/report/walk.js";
import { threadRates } from "../../src/study/thread/rates.js";
import { simulatedComparison } from "./compare-fixture.js";
import { comparison } from "./comparison-fixture.js";
import { crossoverOptions, crossoverSweep } from "./crossover-fixture.js";
import { exitRows } from "./exit-rows-fixture.js";
import { exits } from "./exits-fixture.js";
import { HOSTILE, hostileStudy, study, unfitted } from "./fixture.js";
import { hostComparison, measurement } from "./measure-fixture.js";
import { prices } from "./price-fixture.js";
import { accessesByVcpus, sweepOf } from "./sweep-fixture.js";
import { bypass, faultTax, reads, slotPrice } from "./thread/objections-fixture.js";
import { overtakes, overtakesOf } from "./thread/overtakes-fixture.js";
import { question, switches, verdict } from "./thread/thread-fixture.js";
import { tlbArgument } from "./thread/tlb-fixture.js";
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
  plotMeasured: {
    figure: () => plotMeasured(measurement, hostComparison),
    hostile: () =>
      plotMeasured(
        {
          ...measurement,
          machine: { ...measurement.machine, cpuModel: HOSTILE },
          rows: measurement.rows.map((row) => ({ ...row, name: `${HOSTILE}${row.name}` })),
        },
        {
          ...hostComparison,
          model: HOSTILE,
          rows: hostComparison.rows.map((row) => ({ ...row, name: `${HOSTILE}${row.name}` })),
        },
      ),
    axes: ["TSC cycles of one access"],
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
  ...threadFigures(),
};

/** The study of the thread, and its parts. */
function threadFigures(): Readonly<Record<string, FigureCase>> {
  const hostile = { provenance: hostileProvenance, machine: HOSTILE };
  const hostileOvertakes = { ...overtakesOf(HOSTILE), provenance: hostileProvenance };
  const cycles = "difference, TSC cycles per kick";
  const of = (figure: () => Figure, hostileFigure: () => Figure, axes: readonly string[]): FigureCase => ({
    figure,
    hostile: hostileFigure,
    axes,
    basis: UNFITTED,
  });
  return {
    plotDesigns: of(
      () => plotDesigns(unfitted),
      () => plotDesigns(hostileProvenance),
      [],
    ),
    plotVerdict: of(
      () => plotVerdict(verdict),
      () =>
        plotVerdict({
          ...hostile,
          verdict: verdict.verdict.map((row) => ({ ...row, title: HOSTILE })),
        }),
      [cycles],
    ),
    plotQuestion: of(
      () => plotQuestion(question),
      () => plotQuestion({ ...question, ...hostile }),
      ["TSC cycles, difference"],
    ),
    plotOpenSwitches: of(
      () => plotOpenSwitches(switches),
      () => plotOpenSwitches({ ...switches, ...hostile }),
      [],
    ),
    plotTlbArgument: of(
      () => plotTlbArgument(tlbArgument),
      () => plotTlbArgument({ ...tlbArgument, ...hostile }),
      [
        "RFC less base, TSC cycles",
        "RFC less base, TSC cycles",
        "RFC less base, TSC cycles",
        "references per kick",
        "references per kick",
        "references per kick",
      ],
    ),
    plotReads: of(
      () => plotReads(reads),
      () => plotReads({ ...reads, ...hostile }),
      [
        "TSC cycles per kick and per read",
        "share of reads among accesses to doorbells",
        "signals beyond one per kick",
      ],
    ),
    plotFaultTax: of(
      () => plotFaultTax(faultTax),
      () => plotFaultTax({ ...faultTax, ...hostile }),
      [
        "TSC cycles per kick or fault, less base-4.2",
        "TSC cycles per ordinary fault, less the base",
        "ioeventfds on the fast bus",
        "ordinary faults per kick",
      ],
    ),
    plotBypass: of(
      () => plotBypass(bypass),
      () => plotBypass({ ...bypass, ...hostile }),
      ["TSC cycles per write"],
    ),
    plotSlotPrice: of(
      () => plotSlotPrice(slotPrice),
      () => plotSlotPrice({ ...slotPrice, ...hostile }),
      ["TSC cycles more per page", "TSC cycles per kick"],
    ),
    plotOvertakes: of(
      () => plotOvertakes(overtakes),
      () => plotOvertakes(hostileOvertakes),
      [
        "cycles per kick",
        "settings, from the least difference to the greatest",
        "settings, from the least difference to the greatest",
      ],
    ),
    plotConditions: of(
      () => plotConditions(overtakes),
      () => plotConditions(hostileOvertakes),
      ["cycles per kick", "ordinary faults per kick", "ordinary faults per kick"],
    ),
    plotRates: of(
      () => plotRates(threadRates(overtakes)),
      () => plotRates(threadRates(hostileOvertakes)),
      ["kicks per second"],
    ),
  };
}
