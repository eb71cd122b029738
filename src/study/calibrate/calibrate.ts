/**
 * Calibration to a machine of one's own: what its tools printed, fitted by the costs of its processor and kernel.
 */
import { resolve } from "node:path";
import { Calibration } from "../../cost/calibration.js";
import type { CostProfileFile } from "../../cost/cost-profile.js";
import { loadCpu, withTsc } from "../../cost/cpu-profile.js";
import { InputError, notAllowed } from "../../cost/input.js";
import { primitiveCosts, tracingCosts } from "../../cost/primitive-costs.js";
import type { KernelVersion } from "../../kvm/eras.js";
import type { Host, Mitigations } from "../../kvm/kvm.js";
import type { Paging } from "../../kvm/spte.js";
import { exitlabCommand, inlineJson } from "../command.js";
import { conditionsOf } from "../conditions.js";
import { relativeError } from "../errors.js";
import { provenanceOf } from "../provenance.js";
import type { CostEstimate, Provenance } from "../result.js";
import type { ScenarioInput } from "../run/scenario.js";
import { writeWhole } from "../sweep/whole-file.js";
import { type Equation, equationsOf, type LeftOut } from "./observations.js";
import { readTimes, type TimeSource } from "./times.js";

export interface CalibrateOptions {
  /** Profile of the processor; a name in `data/cpus`. */
  readonly cpu: string;
  readonly kernel: KernelVersion;
  /** As the host was booted; off unless said otherwise. */
  readonly mitigations?: Mitigations;
  /** For rows: how the host translates a guest's memory; EPT or, on AMD's processors, nested page tables unless said otherwise. */
  readonly paging?: Paging;
  /** For rows, from v6.19 on: kvm.mmio_caching; on unless said otherwise. */
  readonly mmioCaching?: boolean;
  /** For rows: what the host itself runs on; bare metal unless said otherwise. */
  readonly host?: Host;
  /** Frequency of the host's TSC, for times of perf and ftrace; that of the profile unless said otherwise. */
  readonly tscMhz?: number;
  /** What the guest did while perf or ftrace recorded it. */
  readonly scenario?: ScenarioInput;
}

/** Cycles are TSC cycles. */
export interface CalibratedTime {
  readonly file: string;
  readonly source: TimeSource;
  /** A row, or an exit reason. */
  readonly name: string;
  readonly measured: number;
  readonly tolerance: number;
  readonly fitted: number;
  /** (fitted - measured) / measured. */
  readonly residual: number;
}

export interface HostCalibration {
  readonly provenance: Provenance;
  readonly cpu: string;
  readonly kernel: KernelVersion;
  readonly mitigations: Mitigations;
  readonly paging?: Paging;
  readonly tscMhz: number;
  readonly times: readonly CalibratedTime[];
  /** Those that some measurement bears on. */
  readonly costs: readonly CostEstimate[];
  /** How many independent sums of costs the measurements fix. */
  readonly rank: number;
  /** The least by which their tolerances have to be stretched for any costs to meet all of them; 1 where some do. */
  readonly stretch: number;
  /** Costs that occur in one proportion in every time, so that nothing tells them apart. */
  readonly inseparable: readonly (readonly string[])[];
  /** Costs of which only sums are determined: a change of one can be made up for by others. */
  readonly confounded: readonly (readonly string[])[];
  readonly leftOut: readonly LeftOut[];
}

/** A range that is this share of what it was, or less, is the measurements' doing. */
const NARROWED = 0.9;

/** Tolerances that are stretched no more than they must be leave a point in place of a range: so times this. */
export const ROOM = 2;

/**
 * Fits the costs to what some files say.
 *
 * @throws InputError for a file that is not understood, or files from which nothing can be learnt
 */
export async function calibrate(
  files: readonly string[],
  options: CalibrateOptions,
): Promise<HostCalibration> {
  const { kernel, mitigations = "off", paging, mmioCaching, host, scenario } = options;
  const profile = loadCpu(options.cpu);
  const cpu = options.tscMhz === undefined ? profile : withTsc(profile, options.tscMhz);
  const tscMhz = cpu.clock.tsc.value;
  if (new Set(files.map((file) => resolve(file))).size < files.length)
    throw new InputError("files", notAllowed(files), "each file once");
  const times = files.flatMap((file) => readTimes(file, tscMhz));
  const machine = {
    cpu: cpu.name,
    kernel,
    mitigations,
    ...(paging && { paging }),
    ...(mmioCaching !== undefined && { mmioCaching }),
    ...(host && { host }),
  };
  const { observations, leftOut } = await equationsOf(times, machine, scenario);
  if (observations.length === 0) {
    const found = leftOut.map(({ name, reason }) => `${name} (${reason})`).join(", ");
    throw new InputError(files.join(", "), `have nothing to learn from: ${found}`, "at least one");
  }
  const costs = [...primitiveCosts(cpu, kernel), ...tracingCosts(cpu)];
  const strict = new Calibration(costs, observations);
  const { stretch } = strict;
  const calibration =
    stretch === 1 ? strict : new Calibration(costs, stretched(observations, ROOM * stretch));
  const { fitted, rank, inseparable, confounded } = calibration;
  return {
    provenance: provenanceOf({
      seed: 0,
      conditions: conditionsOf([machine]),
      command: commandOf(files, options),
    }),
    ...machine,
    tscMhz,
    times: observations.map(({ timed: { file, source, name }, measured, tolerance }, index) => ({
      file,
      source,
      name,
      measured,
      tolerance,
      fitted: fitted[index],
      residual: relativeError(fitted[index], measured),
    })),
    costs: costsOf(calibration, `fitted to times of ${sourcesOf(observations)}, by exitlab calibrate`),
    rank,
    stretch,
    inseparable,
    confounded,
    leftOut,
  };
}

function commandOf(files: readonly string[], options: CalibrateOptions): string {
  const { cpu, kernel, mitigations, paging, mmioCaching, host, tscMhz, scenario } = options;
  return exitlabCommand(
    "calibrate",
    ...files,
    ...["--cpu", cpu, "--kernel", kernel],
    ...(mitigations === undefined ? [] : ["--mitigations", mitigations]),
    ...(paging === undefined ? [] : ["--paging", paging]),
    ...(mmioCaching === false ? ["--no-mmio-caching"] : []),
    ...(host === undefined ? [] : ["--host", host]),
    ...(tscMhz === undefined ? [] : ["--tsc-mhz", String(tscMhz)]),
    ...(scenario === undefined ? [] : ["--scenario", inlineJson(scenario)]),
  );
}

/** Not the files: a source is printed in mails, which not every name of a file can stand in. */
function sourcesOf(equations: readonly Equation[]): string {
  return [...new Set(equations.map(({ timed: { source } }) => source))].join(", ");
}

function costsOf(calibration: Calibration, source: string): CostEstimate[] {
  const identified = new Set(calibration.identified);
  return calibration.used.map((index) => {
    const { name, category, value, low, high, ...known } = calibration.costs[index];
    const fitted = calibration.values[index];
    const bounds = calibration.costBounds(index);
    const isNarrowed = bounds.high - bounds.low <= NARROWED * (high - low) && low < high;
    return {
      name,
      category,
      prior: { low, value, high },
      // The fit weighs all that is known, the bounds only what is allowed: it may miss them by a little. The bounds may miss
      // the prior by a rounding.
      fitted: {
        low: Math.max(low, Math.min(bounds.low, fitted)),
        value: fitted,
        high: Math.min(high, Math.max(bounds.high, fitted)),
      },
      identified: identified.has(index),
      ...(isNarrowed
        ? { tag: "derived", source }
        : { tag: known.tag, source: `${known.source}; the value within the range ${source}` }),
    };
  });
}

/** The same times, known less well. */
function stretched(equations: readonly Equation[], by: number): Equation[] {
  return equations.map((equation) => ({ ...equation, tolerance: equation.tolerance * by }));
}

/** Writes a calibration as a cost profile, whole or not at all. @throws InputError for a file that cannot be written */
export function saveCostProfile(calibration: HostCalibration, path: string): void {
  const { costs, cpu, kernel, mitigations, tscMhz, stretch, ...rest } = calibration;
  const tracing = new Set(tracingCosts(loadCpu(cpu)).map(({ name }) => name));
  const profile: CostProfileFile = {
    cpu,
    kernel,
    mitigations,
    tscMhz,
    stretch,
    // What a tracer adds is no cost of a run.
    costs: costs
      .filter(({ name }) => !tracing.has(name))
      .map(({ name, fitted: { low, value, high }, tag, source }) => {
        return { name, value, unit: "TSC cycles", range: [low, high], tag, source };
      }),
  };
  try {
    writeWhole(path, [`${JSON.stringify({ ...profile, ...rest }, null, 2)}\n`]);
  } catch (error) {
    throw new InputError(path, (error as Error).message, "a file that can be written");
  }
}
