/**
 * exitlab: where the cycles of a KVM exit go, simulated from the guest's instruction to the eventfd and calibrated with
 * published measurements.
 *
 * Reading order of the folders: x86, kvm, patches, cost, workload, host, study, report.
 */
import { warnIfStale } from "./study/provenance.js";

export {
  breakEvenCosts,
  breakEvenShare,
  type CostBreakEven,
  type ShareBreakEven,
} from "./cost/break-even.js";
export { Calibration, type Observation } from "./cost/calibration.js";
export { type CostProfile, readCostProfile } from "./cost/cost-profile.js";
export type { Bounds, Counts } from "./cost/counts.js";
export { type CpuProfile, cpuNames, loadCpu, type ProfileValue } from "./cost/cpu-profile.js";
export { type ExitFootprints, exitFootprints } from "./cost/exit-footprint.js";
export { type ExitTime, type ExitTimes, parseExitTimes } from "./cost/exit-times.js";
export { InputError } from "./cost/input.js";
export { loadMeasurement, type Measurement, readMeasurement } from "./cost/measurements.js";
export {
  LATENCY_PATTERNS,
  type LatencyPattern,
  loadMemoryLatency,
  type MemoryLatency,
  readMemoryLatency,
} from "./cost/memory-latency.js";
export { type PerfExits, parsePerfKvmStat } from "./cost/perf-kvm-stat.js";
export { type Cycles, type FreePrimitive, type Price, type PricedCost, priceCounts } from "./cost/price.js";
export {
  CATEGORIES,
  type Category,
  type CostRange,
  type CostRanges,
  FREE_PRIMITIVES,
  type PrimitiveCost,
  primitiveCosts,
} from "./cost/primitive-costs.js";
export type { Quantity, Tag } from "./cost/quantity.js";
export { oneAtATime, type SobolIndices, type Swing, sobolIndices } from "./cost/sensitivity.js";
export { CostDraws, drawCosts, propagate, shareOfRangesBelow } from "./cost/uncertainty.js";
export { parseVmexit } from "./cost/vmexit-output.js";
export { deviceByte, deviceValue } from "./host/device-model.js";
export { type EarlyEnd, type GuestEnd, GuestError } from "./host/guest-error.js";
export {
  drawAccesses,
  type GuestAccess,
  GuestProgram,
  type LoopAccess,
  type TimedLoop,
} from "./host/guest-program.js";
export { HostUnavailable } from "./host/host-unavailable.js";
export { type KvmDevice, openKvm, whyNoKvm } from "./host/kvm.js";
export { GuestPageTables, longModeSregs } from "./host/long-mode.js";
export { describeMachine, type HostMachine, limitsOf, pinningAdvice } from "./host/machine.js";
export { SystemCallError } from "./host/system-call-error.js";
export type { HostVcpu, RunEvent, RunOptions, RunResult } from "./host/vcpu.js";
export { VcpuThread } from "./host/vcpu-thread.js";
export type { HostVm } from "./host/vm.js";
export { type CreateOptions, createVm, KERNEL_VERSIONS, type KernelVersion } from "./kvm/eras.js";
export { KvmError } from "./kvm/errno.js";
export { ExitCounts, type ExitVector } from "./kvm/exit-counts.js";
export {
  type FtraceOptions,
  type ParsedEvent,
  type ParsedNote,
  parseFtrace,
  printFtrace,
} from "./kvm/ftrace.js";
export { INSTRUCTION_FORMS, INSTRUCTION_NAMES, type InstructionName } from "./kvm/instruction.js";
export {
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
  KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY,
} from "./kvm/ioeventfd.js";
export { PRIMITIVES } from "./kvm/primitives.js";
export { Trace, type TraceEvent, type TraceRecord } from "./kvm/trace.js";
export { EXIT_EVICTS, type ExitEvicts } from "./kvm/x86.js";
export * from "./patches/constants.js";
export {
  definePatch,
  type KernelFunctions,
  type Patch,
  type PatchConstants,
  PatchError,
  type PatchedKernel,
  type PatchFunctions,
  type PatchHeader,
  type PatchSource,
} from "./patches/define-patch.js";
export { PATCHES, type PatchName } from "./patches/index.js";
export * from "./report/index.js";
export {
  type CalibratedTime,
  type CalibrateOptions,
  calibrate,
  type HostCalibration,
  saveCostProfile,
} from "./study/calibrate/calibrate.js";
export { type CompareFilesOptions, compareFiles } from "./study/compare/files.js";
export { compareMeasured } from "./study/compare/measured.js";
export type {
  Compared,
  MeasuredCell,
  MeasuredComparison,
  MeasuredDifference,
  MeasuredRow,
  SampleSummary,
  SimulatedCell,
  SimulatedComparison,
  SimulatedDifference,
  SimulatedRow,
} from "./study/compare/result.js";
export { type CompareScenariosOptions, comparePatches, compareScenarios } from "./study/compare/scenarios.js";
export { type CompareSweepOptions, compareSweep } from "./study/compare/sweep-columns.js";
export {
  type ComparedSide,
  type Comparison,
  type ComparisonOptions,
  type FittedCosts,
  type SideInput,
  studyComparison,
} from "./study/comparison.js";
export { type Conditions, conditionsOf } from "./study/conditions.js";
export { type Conformance, type ConformanceFailure, conform } from "./study/conformance/table.js";
export type { CrossoverOptions } from "./study/crossover.js";
export { conformHost, type HostConformance } from "./study/differential/conform-host.js";
export { type ErrorSummary, summarise } from "./study/errors.js";
export { type ExitMachine, type ExitRow, type ExitRowsStudy, studyExitRows } from "./study/exit-rows.js";
export {
  type EqualExits,
  type ExitDurations,
  type ExitsStudy,
  exitsOf,
  type SimulatedExits,
  studyExits,
} from "./study/exits.js";
export {
  type IncidentRow,
  type Incidents,
  type IncidentsOptions,
  studyIncidents,
} from "./study/incidents/incidents.js";
export { minimalReproduction, type Reproduction } from "./study/incidents/minimal-reproduction.js";
export {
  studyThreadIncidents,
  THREAD_CASES,
  type ThreadCase,
  type ThreadIncidents,
  type ThreadOutcome,
} from "./study/incidents/thread-cases.js";
export {
  type FaultStep,
  type LifeOfFault,
  type LifeOfFaultOptions,
  type SpteState,
  type SpteView,
  studyLifeOfFault,
} from "./study/life-of-a-fault.js";
export {
  type LatencyCurve,
  type LatencyPoint,
  type LatencyStep,
  type LoadLatencyOptions,
  type LoadLatencyStudy,
  type MachineLatency,
  studyLoadLatency,
  type TlbStep,
} from "./study/load-latency.js";
export {
  type CompareWithHostOptions,
  compareWithHost,
  type HostComparison,
  type PredictedRow,
} from "./study/measure/compare-with-host.js";
export { type ExpectedRow, type ExpectedRows, expectedRows } from "./study/measure/expected-rows.js";
export { type MeasureOptions, measureHost } from "./study/measure/measure.js";
export type { Did, HostMeasurement } from "./study/measure/result.js";
export { HOST_ROWS } from "./study/measure/rows.js";
export {
  type NestedWalkOptions,
  type NestedWalkPoint,
  type NestedWalkStudy,
  studyNestedWalks,
} from "./study/nested-walks.js";
export { type PciTestdevOptions, studyPciTestdev } from "./study/pci-testdev.js";
export { type PriceConditions, type PriceOptions, priceRun, type RunPrice } from "./study/price.js";
export { coreVersion, dataVersion, modelVersion, packageVersion } from "./study/provenance.js";
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
export type { Precision } from "./study/run/precision.js";
export { type Measured, type Observers, type Run, replay, run } from "./study/run/run.js";
export { parseScenario, type Scenario, type ScenarioInput, scenarioFields } from "./study/run/scenario.js";
export type { Executor, Job, Outcome as JobOutcome } from "./study/sweep/executor.js";
export { Interrupted } from "./study/sweep/interrupt.js";
export { LocalExecutor } from "./study/sweep/local.js";
export { mergeSweep } from "./study/sweep/merge.js";
export { type PlannedPoint, type PlanOptions, planSweep, type SweepPlan } from "./study/sweep/plan.js";
export { readSweep } from "./study/sweep/read.js";
export type { SweepInput, SweepSpec } from "./study/sweep/spec.js";
export {
  type FailedPoint,
  FirstFailure,
  runSweep,
  type SweepOptions,
  type SweepProgress,
  type SweepResult,
  type SweepRow,
} from "./study/sweep/sweep.js";
export { DESIGN_NAMES, DESIGNS, type Design, type DesignName, designOf } from "./study/thread/designs.js";
export { type BypassStudy, studyBypass } from "./study/thread/objections/bypass.js";
export { type FaultTaxStudy, studyFaultTax } from "./study/thread/objections/fault-tax.js";
export { type ReadsStudy, studyReads } from "./study/thread/objections/reads.js";
export type { ObjectionOptions } from "./study/thread/objections/setting.js";
export { type SlotPriceStudy, studySlotPrice } from "./study/thread/objections/slot-price.js";
export { type Overtakes, type OvertakesOptions, studyOvertakes } from "./study/thread/overtakes.js";
export type { Question } from "./study/thread/question.js";
export { type Rates, threadRates } from "./study/thread/rates.js";
export { type Setting, scenarioOf, USUAL_SETTING } from "./study/thread/setting.js";
export { THREAD_SWEEP_SIZES, type ThreadSweepSize, threadSweep } from "./study/thread/sweep.js";
export { studyThread, type ThreadOptions, type ThreadStudy } from "./study/thread/thread.js";
export { studyTlbArgument, type TlbArgument, type TlbArgumentOptions } from "./study/thread/tlb-argument.js";
export type { VerdictRow } from "./study/thread/verdict.js";
export {
  type ColdWalk,
  type ReferenceCount,
  type ReferenceCounts,
  studyColdWalk,
  studyReferenceCounts,
  type WalkStep,
} from "./study/two-dimensional-walk.js";
export {
  studyWalkFigures,
  type WalkFigure,
  type WalkFiguresStudy,
  type WalkOutcome,
  type WalkUse,
} from "./study/walk-figures.js";
export {
  type EptFormat,
  type GuestFormat,
  type LeafFlags,
  type PageSize,
  type PagingFormat,
  PagingStructures,
} from "./workload/paging-structures.js";
export type { RecordingFormat, RecordingSummary } from "./workload/recorded/recording.js";
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
