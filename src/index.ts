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
  LATENCY_PATTERNS,
  type LatencyPattern,
  loadMemoryLatency,
  type MemoryLatency,
  readMemoryLatency,
} from "./cost/memory-latency.js";
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
export { type Conformance, type ConformanceFailure, conform } from "./study/conformance/table.js";
export {
  type LatencyCurve,
  type LatencyPoint,
  type LoadLatencyOptions,
  type LoadLatencyStudy,
  type MachineLatency,
  studyLoadLatency,
  type TlbStep,
} from "./study/load-latency.js";
export {
  type NestedWalkOptions,
  type NestedWalkPoint,
  type NestedWalkStudy,
  studyNestedWalks,
} from "./study/nested-walks.js";
export { type PciTestdevOptions, studyPciTestdev } from "./study/pci-testdev.js";
export { dataVersion, modelVersion, packageVersion } from "./study/provenance.js";
export type {
  Breakdown,
  CalibratedRow,
  CostEstimate,
  DifferenceTerm,
  FastMmioPrediction,
  FittedProvenance,
  Interval,
  KernelComparison,
  OtherMachine,
  PciTestdevStudy,
  Provenance,
} from "./study/result.js";
export { type Run, run } from "./study/run.js";
export { parseScenario, type Scenario, type ScenarioInput } from "./study/scenario.js";
export {
  type ColdWalk,
  type ReferenceCount,
  type ReferenceCounts,
  studyColdWalk,
  studyReferenceCounts,
  type WalkStep,
} from "./study/two-dimensional-walk.js";
export {
  type EptFormat,
  type GuestFormat,
  type LeafFlags,
  type PageSize,
  type PagingFormat,
  PagingStructures,
} from "./workload/paging-structures.js";
export { type AccessKind, FETCH, IMPLICIT, READ, SUPERVISOR, USER, WRITE } from "./x86/access.js";
export { type CpuGeometry, DEFAULT_SWITCHES, type Drops, type Switches } from "./x86/cpu.js";
export { EPT_EXECUTE, EPT_READ, EPT_WRITE } from "./x86/ept.js";
export { Ledger, X86_PRIMITIVES } from "./x86/ledger.js";
export {
  EPT_MISCONFIG,
  EPT_VIOLATION,
  GENERAL_PROTECTION,
  Mmu,
  type Outcome,
  PAGE_FAULT,
  TRANSLATED,
} from "./x86/mmu.js";
export { entryHigh, entryLow, PhysicalMemory } from "./x86/physical-memory.js";
export { pmuView } from "./x86/pmu.js";
export { type Probe, type ProbeReason, type ProbeStep, probeTranslation } from "./x86/probe.js";
export { LONG_MODE, type PagingRegisters } from "./x86/registers.js";

warnIfStale();
