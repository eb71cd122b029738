/**
 * The headline study: the six rows of pci-testdev and the five of vmexit, simulated from the guest's instruction to the
 * eventfd, their costs fitted, and then the question that no table answers: what did the fast MMIO bus do to that machine?
 *
 * The processor behind the rows was never stated, so the fit is made once for each that it can have been, and once for
 * each state in which the exit handler can have left the guest's cached paging structures. The answer covers them all.
 */
import { Calibration, ROW_TOLERANCE } from "../cost/calibration.js";
import type { Bounds, Counts } from "../cost/counts.js";
import { cpuNames, loadCpu } from "../cost/cpu-profile.js";
import { InputError, notAllowed } from "../cost/input.js";
import { loadMeasurement, type Measurement, readMeasurement } from "../cost/measurements.js";
import { primitiveCosts } from "../cost/primitive-costs.js";
import type { KernelVersion } from "../kvm/eras.js";
import { EXIT_EVICTS, type ExitEvicts } from "../kvm/x86.js";
import { exitlabCommand } from "./command.js";
import { conditionsOf } from "./conditions.js";
import { walkReferences } from "./loads.js";
import { provenanceOf } from "./provenance.js";
import type {
  CalibratedRow,
  CostEstimate,
  DifferenceTerm,
  FastMmioPrediction,
  Interval,
  KernelComparison,
  PciTestdevStudy,
} from "./result.js";
import { countRow, pciTestdevRows, ROWS_OF_2012, type RowScenario } from "./vmexit-rows.js";

/** When the rows of `data/measurements/pci-testdev-2013.csv` were published, in April. */
const PUBLISHED = 2013;

/**
 * The kernel of the rows, and of the costs: the fast MMIO bus (3.16) came before the emulator got faster (3.17), so what is
 * predicted for the one is not for the other.
 */
const MEASURED_KERNEL = "v3.9";
/** What the fast MMIO bus is predicted for. */
const FAST_BUS_KERNEL = "v4.2";

export interface PciTestdevOptions {
  /**
   * Profile that the rows, the breakdown and the costs are shown for; a name in `data/cpus`, one of Intel, for the exits are
   * those of EPT. The published rows cannot be those of a later processor, rows of your own can.
   */
  readonly cpu?: string;
  /** What the exit handler evicts there. */
  readonly exitEvicts?: ExitEvicts;
  /** Other prior ranges than those of the data files, in TSC cycles, by the cost's name. */
  readonly costs?: Readonly<Record<string, Bounds>>;
  /** A CSV file of the six rows on a machine of your own, with a kernel from before the fast MMIO bus. */
  readonly measurement?: string;
  /** Guest instructions per row. The rows are loops over one address: more of them change nothing but the time. */
  readonly accesses?: number;
  readonly seed?: number;
}

/** Runs the study. @throws InputError for a wrong option or a data file that is not as it should be */
export function studyPciTestdev(options: PciTestdevOptions = {}): PciTestdevStudy {
  const { cpu = "sandy-bridge-ep", exitEvicts = "l1", costs = {}, accesses = 1000, seed = 1 } = options;
  const measurement =
    options.measurement === undefined
      ? loadMeasurement("pci-testdev-2013")
      : readMeasurement(options.measurement);
  const cpus = possibleCpus(options.measurement !== undefined);
  if (!cpus.includes(cpu)) throw new InputError("cpu", notAllowed(cpu), `one of ${cpus.join(", ")}`);
  const conditions = { cpu, exitEvicts, costs, accesses, seed };
  const headline = studyCase(measurement, conditions);
  if (headline === null) {
    throw new InputError(
      "pci-testdev",
      `no costs within their ranges meet the measured rows on ${cpu} with ${exitEvicts} evicted`,
      `rows that some costs meet within ${100 * ROW_TOLERANCE}%`,
    );
  }
  const { calibration } = headline;
  const places = cpus.flatMap((name) => EXIT_EVICTS.map((evicts) => ({ cpu: name, exitEvicts: evicts })));
  const studied = places.map((place) => ({
    place,
    result:
      place.cpu === cpu && place.exitEvicts === exitEvicts
        ? headline
        : studyCase(measurement, { ...conditions, ...place }),
  }));
  const cases = studied.flatMap(({ result }) => result ?? []);
  const vmexit = calibrate(
    loadMeasurement("vmexit-2012"),
    countRows(ROWS_OF_2012, "v3.9", conditions),
    conditions,
  );
  return {
    provenance: {
      ...provenanceOf({
        seed,
        conditions: conditionsOf(
          cpus.flatMap((name) =>
            ([MEASURED_KERNEL, FAST_BUS_KERNEL] as const).map((kernel) => ({ cpu: name, kernel })),
          ),
        ),
        command: command(conditions, options.measurement),
      }),
      calibration: measurement.source,
      machine: measurement.machine,
      shownAs: [`${loadCpu(cpu).model}, exits evict ${exitEvicts}`, ...rangeTexts(costs)].join(", "),
    },
    rows: calibratedRows(calibration),
    costs: costEstimates(calibration),
    rank: calibration.rank,
    inseparable: calibration.inseparable,
    comparison: headline.comparison.map(({ after, ...row }, index) => ({
      ...row,
      after: {
        low: Math.min(...cases.map(({ comparison }) => comparison[index].after.low)),
        value: after.value,
        high: Math.max(...cases.map(({ comparison }) => comparison[index].after.high)),
      },
    })),
    predictions: cases.map(({ prediction }) => prediction),
    excluded: studied.filter(({ result }) => result === null).map(({ place }) => place),
    difference: headline.difference,
    vmexit2012: { rows: calibratedRows(vmexit), rank: vmexit.rank },
  };
}

/** The processors that can be behind the rows: any with EPT, or of these one from before the published rows. */
function possibleCpus(ownRows: boolean): string[] {
  return cpuNames().filter((name) => {
    const { vendor, year } = loadCpu(name);
    return vendor === "Intel" && (ownRows || year < PUBLISHED);
  });
}

interface Case {
  readonly cpu: string;
  readonly exitEvicts: ExitEvicts;
  readonly costs: Readonly<Record<string, Bounds>>;
  readonly accesses: number;
  readonly seed: number;
}

interface StudyCase {
  readonly calibration: Calibration;
  readonly comparison: readonly KernelComparison[];
  readonly prediction: FastMmioPrediction;
  readonly difference: readonly DifferenceTerm[];
}

/** The fit and its predictions for one processor in one state; null where no costs meet the rows. */
function studyCase(measurement: Measurement, conditions: Case): StudyCase | null {
  const before = countRows(pciTestdevRows("v3.9"), "v3.9", conditions);
  const after = countRows(pciTestdevRows(FAST_BUS_KERNEL), FAST_BUS_KERNEL, conditions);
  const calibration = calibrate(measurement, before, conditions);
  if (!calibration.feasible) return null;
  const pio = after["portio-wildcard-eventfd"];
  const mmio = after["mmio-wildcard-eventfd"];
  const { guest, ept } = walkReferences(mmio);
  return {
    calibration,
    comparison: Object.keys(before).map((name) => ({
      name,
      measured: measurement.row(name),
      before: calibration.predict(before[name]),
      after: { ...calibration.bounds(after[name]), value: calibration.predict(after[name]) },
    })),
    prediction: {
      cpu: conditions.cpu,
      model: loadCpu(conditions.cpu).model,
      exitEvicts: conditions.exitEvicts,
      references: guest + ept,
      portIo: { ...calibration.bounds(pio), value: calibration.predict(pio) },
      fastMmio: { ...calibration.bounds(mmio), value: calibration.predict(mmio) },
      difference: {
        ...calibration.bounds(mmio, pio),
        value: calibration.predict(mmio) - calibration.predict(pio),
      },
      walk: { ...calibration.categoryBounds(mmio, "walk"), value: calibration.breakdown(mmio).walk },
    },
    difference: calibration.difference(mmio, pio),
  };
}

function calibrate(
  measurement: Measurement,
  counts: Record<string, Counts>,
  { cpu, costs }: Case,
): Calibration {
  const observations = Object.entries(counts).map(([name, rowCounts]) => ({
    name,
    counts: rowCounts,
    measured: measurement.row(name),
  }));
  return new Calibration(primitiveCosts(loadCpu(cpu), MEASURED_KERNEL, costs), observations);
}

/** Runs each row and returns its counts per access. */
function countRows(
  rows: Readonly<Record<string, RowScenario>>,
  kernel: KernelVersion,
  { cpu, exitEvicts, accesses, seed }: Case,
): Record<string, Counts> {
  const machine = { cpu, kernel, exitEvicts, memslots: [{ gpa: 0, size: 64 * 2 ** 20 }], accesses, seed };
  return Object.fromEntries(
    Object.entries(rows).map(([name, row]) => [name, countRow(machine, row, "pci-testdev")]),
  );
}

function calibratedRows(calibration: Calibration): CalibratedRow[] {
  return calibration.observations.map(({ name, measured, counts }) => {
    const simulated = calibration.predict(counts);
    return {
      name,
      measured,
      simulated,
      residual: (simulated - measured) / measured,
      breakdown: calibration.breakdown(counts),
    };
  });
}

function costEstimates(calibration: Calibration): CostEstimate[] {
  const identified = new Set(calibration.identified);
  return calibration.used.map((index) => {
    const { name, category, value, low, high, tag, source } = calibration.costs[index];
    const prior: Interval = { low, value, high };
    const fitted: Interval = { ...calibration.costBounds(index), value: calibration.values[index] };
    return { name, category, prior, fitted, identified: identified.has(index), tag, source };
  });
}

function rangeTexts(costs: Case["costs"]): string[] {
  return Object.entries(costs).map(([name, { low, high }]) => `${name}=${low}..${high}`);
}

function command({ cpu, exitEvicts, costs, accesses, seed }: Case, measurement?: string): string {
  return exitlabCommand(
    ...["study", "pci-testdev", "--cpu", cpu, "--exit-evicts", exitEvicts],
    ...["--accesses", String(accesses), "--seed", String(seed)],
    ...rangeTexts(costs).flatMap((text) => ["--cost", text]),
    ...(measurement === undefined ? [] : ["--measurement", measurement]),
  );
}
