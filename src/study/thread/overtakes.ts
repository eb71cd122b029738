/**
 * Where one design of the thread overtakes another. Over all settings of the sweep: in how many it costs less, and in how many
 * it could. Along the numeric axes: at which value the two cost the same, located by further runs and said as a condition.
 */
import type { CostBreakEven } from "../../cost/break-even.js";
import { studyCommand } from "../command.js";
import type { Interval, Provenance } from "../result.js";
import type { Executor } from "../sweep/executor.js";
import { LocalExecutor } from "../sweep/local.js";
import { runSweep } from "../sweep/sweep.js";
import { designOf } from "./designs.js";
import { KnownRuns } from "./known-runs.js";
import { type Condition, PairOnLine } from "./pair-on-line.js";
import { PAIRS, type Pair, type PairedDifference, Pricing } from "./pairs.js";
import type { Setting } from "./setting.js";
import {
  type Line,
  measuredSettings,
  NUMERIC_AXES,
  type NumericAxis,
  settingOf,
  THREAD_SWEEP_SIZES,
  type ThreadSweepSize,
  threadLines,
  threadSweep,
  USUAL_CPU,
  variantName,
} from "./sweep.js";

export interface OvertakesOptions {
  readonly size?: ThreadSweepSize;
  /** By default all cores of this machine. */
  readonly executor?: Executor;
  /** Folder of the sweep's files; by default `out/` and its name. */
  readonly out?: string;
}

export interface PairInSetting extends PairedDifference {
  readonly setting: Setting;
}

export interface PairResult {
  readonly a: string;
  readonly b: string;
  readonly settings: readonly PairInSetting[];
  /** In how many settings A costs less, each cost at its value, and in how many it costs the same. */
  readonly wins: number;
  readonly ties: number;
  /** In how many it costs less under some costs of the ranges, and under all. */
  readonly canWin: number;
  readonly alwaysWins: number;
  readonly words: string;
  readonly conditions: readonly Condition[];
  /** In the usual setting. */
  readonly usual: PairInSetting;
  readonly breakEvens: readonly CostBreakEven[];
}

/** JSON-serialisable. Cycles are TSC cycles per kick; a difference is A less B. */
export interface Overtakes {
  readonly provenance: Provenance;
  readonly size: ThreadSweepSize;
  /** Designs with either slot in settings, without the seeds. */
  readonly points: number;
  readonly seeds: number;
  readonly accesses: number;
  /** Runs beyond those of the sweep. */
  readonly furtherRuns: number;
  readonly pairs: readonly PairResult[];
}

/** Further runs at a place are put between those before at most so often. */
const ROUNDS = 4;
/** Runs the sweep and says where one design overtakes another. @throws as `runSweep()` */
export async function studyOvertakes(options: OvertakesOptions = {}): Promise<Overtakes> {
  const { size = "short", executor = new LocalExecutor(), out } = options;
  const result = await runSweep(threadSweep(size), { executor, ...(out !== undefined && { out }) });
  const [failed] = result.failed;
  if (failed !== undefined) throw new Error(`a point of the sweep failed: ${failed.error}`);
  const settings = measuredSettings(size, result.rows);
  const runs = new KnownRuns(result.spec.seeds, executor);
  for (const { setting, rows } of settings) for (const [name, of] of rows) runs.add(name, setting, of);
  const pricing = new Pricing();
  const lines = PAIRS.flatMap((pair) =>
    threadLines(size).flatMap((line) =>
      isNumeric(line.axis) && line.cpu === usualCpu(pair)
        ? new PairOnLine(pair, line, size, runs, pricing)
        : [],
    ),
  );
  for (let round = 0; round < ROUNDS; round++) await runs.execute(lines.flatMap((line) => line.wanted()));
  return {
    provenance: { ...result.provenance, command: studyCommand("thread-sweep", { size }) },
    size,
    points: result.rows.length / result.spec.seeds.length,
    seeds: result.spec.seeds.length,
    accesses: THREAD_SWEEP_SIZES[size].accesses,
    furtherRuns: runs.further,
    pairs: PAIRS.map((pair) =>
      pairResult(
        pair,
        // Those of the pair's vendor.
        settings.filter(({ rows }) => rows.has(variantName(pair.a))).map(({ setting }) => setting),
        lines.filter((line) => line.pair === pair).map((line) => line.condition()),
        { size, runs, pricing },
      ),
    ),
  };
}

interface Known {
  readonly size: ThreadSweepSize;
  readonly runs: KnownRuns;
  readonly pricing: Pricing;
}

function pairResult(
  pair: Pair,
  settings: readonly Setting[],
  conditions: readonly Condition[],
  { size, runs, pricing }: Known,
): PairResult {
  const sides = (setting: Setting) => [runs.of(pair.a, setting), runs.of(pair.b, setting)] as const;
  const inSetting = (setting: Setting): PairInSetting => ({
    setting,
    ...pricing.difference(setting.cpu, pair, ...sides(setting)),
  });
  const all = settings.map(inSetting);
  const usual = settingOf(size, { cpu: usualCpu(pair) });
  const count = (is: (difference: Interval) => boolean) =>
    all.filter(({ difference }) => is(difference)).length;
  const counted = {
    a: variantName(pair.a),
    b: variantName(pair.b),
    settings: all,
    wins: count(({ value }) => value < 0),
    ties: count(({ value }) => value === 0),
    canWin: count(({ low }) => low < 0),
    alwaysWins: count(({ high }) => high < 0),
  };
  return {
    ...counted,
    words: pairWords(counted),
    conditions,
    usual: inSetting(usual),
    breakEvens: pricing.breakEvens(usual.cpu, pair, ...sides(usual)),
  };
}

function pairWords(counted: Omit<PairResult, "words" | "conditions" | "usual" | "breakEvens">): string {
  const { a, b, settings, wins, ties, canWin, alwaysWins } = counted;
  const of = settings.length;
  const some = (n: number) =>
    n === of ? `all ${of} settings` : n === 0 ? "no setting" : `${n} of ${of} settings`;
  if (ties === of) return `${a} and ${b} cost the same in ${some(of)}`;
  const same = ties > 0 ? `, the same in ${ties}` : "";
  const values =
    wins === 0 && ties === 0
      ? `${a} costs more than ${b} in ${some(of)} at the costs' values`
      : `${a} costs less than ${b} in ${some(wins)} at the costs' values${same}`;
  return `${values}; under some costs of the ranges it costs less in ${canWin}, under all in ${alwaysWins}`;
}

function usualCpu({ a }: Pair): string {
  return USUAL_CPU[designOf(a.design).vendor];
}

function isNumeric(axis: Line["axis"]): axis is NumericAxis {
  return (NUMERIC_AXES as readonly string[]).includes(axis);
}
