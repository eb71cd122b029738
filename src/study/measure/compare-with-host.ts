/**
 * The model's prediction of each row that was measured on a host: what the ranges of the costs allow, and what the host's other
 * rows leave of that. Nothing is fitted to the row itself.
 */
import { Calibration, type Observation, ROW_TOLERANCE } from "../../cost/calibration.js";
import type { CostProfile } from "../../cost/cost-profile.js";
import type { Bounds } from "../../cost/counts.js";
import { type CpuProfile, loadCpu, withTsc } from "../../cost/cpu-profile.js";
import { InputError, notAllowed } from "../../cost/input.js";
import { primitiveCosts } from "../../cost/primitive-costs.js";
import type { HostMachine } from "../../host/machine.js";
import type { KernelVersion } from "../../kvm/eras.js";
import type { Mitigations } from "../../kvm/kvm.js";
import type { Paging } from "../../kvm/spte.js";
import { rowMachine } from "../calibrate/observations.js";
import { conditionsOf } from "../conditions.js";
import { checkProfile } from "../price.js";
import { provenanceOf } from "../provenance.js";
import type { Interval, Provenance } from "../result.js";
import { countRow, type RowMachine, vmexitRow } from "../vmexit-rows.js";
import { type HostMeasurement, type MeasuredRow, staysInKernel } from "./result.js";
import type { MedianInterval } from "./statistics.js";

export interface CompareWithHostOptions {
  /** Profile of the host's processor; a name in `data/cpus`. */
  readonly cpu: string;
  /** The modelled kernel that is nearest to the host's. */
  readonly kernel: KernelVersion;
  /** As the host was booted; what its kernel says unless said otherwise. */
  readonly mitigations?: Mitigations;
  /** Costs as `exitlab calibrate` left them for this processor and kernel, in place of those of the data files. */
  readonly costs?: CostProfile;
}

/** TSC cycles of one access. */
export interface PredictedRow {
  readonly name: string;
  readonly measured: MedianInterval;
  /** What the ranges of the costs allow; `value`: every cost at its value. */
  readonly predicted: Interval;
  /** What the host's other rows leave of that; null where no costs in their ranges meet these. */
  readonly fromOthers: Bounds | null;
}

export interface HostComparison {
  readonly provenance: Provenance;
  /** The processor as its maker calls it. */
  readonly model: string;
  readonly mitigations: Mitigations;
  readonly paging: Paging;
  readonly mmioCaching: boolean;
  readonly host: NonNullable<RowMachine["host"]>;
  /** Whether the costs were fitted to times of a machine. */
  readonly fitted: boolean;
  readonly rows: readonly PredictedRow[];
  readonly notPredicted: readonly { readonly name: string; readonly reason: string }[];
}

const SEED = 1;

/** @throws InputError for a processor that has no such paging, and for costs of another machine */
export function compareWithHost(
  measurement: HostMeasurement,
  options: CompareWithHostOptions,
): HostComparison {
  const { cpu, kernel, costs: profile } = options;
  // Older kernels have no parameter.
  const usual = kernel === "v6.19" ? mitigationsOf(measurement.machine) : "off";
  const { mitigations = usual } = options;
  if (profile !== undefined) checkProfile(profile, { cpu, kernel, mitigations });
  const { machine: host, tsc } = measurement;
  const loaded = loadCpu(cpu);
  const processor = tsc.mhz === null ? loaded : withTsc(loaded, tsc.mhz);
  const costs = primitiveCosts(processor, kernel, profile?.ranges);
  const paging = pagingOf(host, processor);
  const machine = {
    ...rowMachine({ cpu, kernel, mitigations, paging }),
    // Older kernels have no parameter, and do what it says by default.
    mmioCaching: kernel !== "v6.19" || host.mmioCaching !== false,
    host: outerOf(host),
    seed: SEED,
  };
  const priors = new Calibration(costs, []);
  const known: Known[] = [];
  const notPredicted: { name: string; reason: string }[] = [];
  for (const row of measurement.rows) {
    const simulated = vmexitRow(row.name, kernel);
    if (simulated !== undefined && "scenario" in simulated)
      known.push(observed(row, countRow(machine, simulated.scenario, row.name)));
    else
      notPredicted.push({ name: row.name, reason: simulated?.notSimulated ?? "the model has no such row" });
  }
  return {
    provenance: provenanceOf({
      seed: SEED,
      ...(profile && { calibration: "times of this machine" }),
      conditions: conditionsOf([{ cpu, kernel, mitigations }]),
      command: null,
    }),
    model: processor.model,
    mitigations,
    paging,
    mmioCaching: machine.mmioCaching,
    host: machine.host,
    fitted: profile !== undefined,
    rows: known.map((row) => predictedRow(row, known, priors)),
    notPredicted,
  };
}

/** A row with its counts. */
interface Known extends Observation {
  readonly row: MeasuredRow;
}

function observed(row: MeasuredRow, counts: Observation["counts"]): Known {
  const { name, median, low, high } = row;
  const tolerance = Math.max(ROW_TOLERANCE * median, high - median, median - low);
  return { row, name, counts, measured: median, tolerance };
}

function predictedRow(
  { row: { name, median, low, high }, counts }: Known,
  all: readonly Known[],
  priors: Calibration,
): PredictedRow {
  const others = new Calibration(
    priors.costs,
    // What comes to userspace took Node's time, and says nothing of the costs that were published for QEMU's.
    all.filter((other) => other.name !== name && staysInKernel(other.row)),
  );
  return {
    name,
    measured: { median, low, high },
    predicted: { ...priors.bounds(counts), value: priors.predict(counts) },
    fromOthers: others.stretch === 1 ? others.bounds(counts) : null,
  };
}

/** "auto" where the kernel does something against any vulnerability of the processor. */
function mitigationsOf({ mitigations }: HostMachine): Mitigations {
  return Object.values(mitigations).some((what) => what.startsWith("Mitigation")) ? "auto" : "off";
}

/** How the host translates a guest's memory; what cannot be read there is as usual on the processor. */
function pagingOf({ paging }: HostMachine, { name, vendor }: CpuProfile): Paging {
  const usual = vendor === "AMD" ? "npt" : "ept";
  if (paging === "unknown") return usual;
  if (paging === "shadow" || paging === usual) return paging;
  const other = paging === "npt" ? "AMD" : "Intel";
  throw new InputError(
    "cpu",
    notAllowed(name),
    `a processor of ${other}: the host's guests run with ${paging}`,
  );
}

function outerOf({ virtualized }: HostMachine): HostComparison["host"] {
  if (virtualized === null) return "bare-metal";
  return /hyper-?v|microsoft/i.test(virtualized.hypervisor) ? "hyper-v" : "kvm";
}
