/**
 * exitlab: where the cycles of a KVM exit go, simulated from the guest's instruction to the eventfd and calibrated with
 * published measurements.
 *
 * Reading order of the folders: x86, kvm, cost, workload, study, report.
 */
import { warnIfStale } from "./study/provenance.js";

export { type Bounds, Calibration, type Counts, type Observation } from "./cost/calibration.js";
export { type CpuProfile, cpuNames, loadCpu } from "./cost/cpu-profile.js";
export { InputError } from "./cost/input.js";
export { loadMeasurement, type Measurement, readMeasurement } from "./cost/measurements.js";
export {
  CATEGORIES,
  type Category,
  type CostRanges,
  type PrimitiveCost,
  primitiveCosts,
} from "./cost/primitive-costs.js";
export { KERNEL_VERSIONS, type KernelVersion } from "./kvm/eras.js";
export { EXIT_EVICTS, type ExitEvicts } from "./kvm/x86.js";
export * from "./report/index.js";
export { type PciTestdevOptions, studyPciTestdev } from "./study/pci-testdev.js";
export { dataVersion, modelVersion, packageVersion } from "./study/provenance.js";
export type {
  Breakdown,
  CalibratedRow,
  CostEstimate,
  DifferenceTerm,
  FastMmioPrediction,
  Interval,
  KernelComparison,
  OtherMachine,
  PciTestdevStudy,
  Provenance,
} from "./study/result.js";
export { type Run, run } from "./study/run.js";
export { parseScenario, type Scenario, type ScenarioInput } from "./study/scenario.js";

warnIfStale();
