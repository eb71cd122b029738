/** Scenarios that are run to be compared, with the same seeds. */
import { integer, parseInput } from "../../cost/input.js";
import { exitlabCommand, inlineJson } from "../command.js";
import type { SideInput } from "../comparison.js";
import { type ScenarioPatchInput, seriesText } from "../run/patch-source.js";
import { measure } from "../run/run.js";
import { parseScenario, type Scenario, type ScenarioInput, scenarioInput } from "../run/scenario.js";
import { canonicalJson } from "../sweep/canonical-json.js";
import { optionWords } from "./option-words.js";
import type { SimulatedComparison } from "./result.js";
import {
  type Column,
  type ColumnRun,
  checkOptions,
  compareColumns,
  type SimulatedOptions,
} from "./simulated.js";

export interface CompareScenariosOptions extends SimulatedOptions {
  /** How many, counted from that of the scenario on. */
  readonly seeds?: number;
}

/** As few as benchstat asks of runs. */
const SEEDS = 10;

/**
 * Runs scenarios, each with some seeds, and compares them: a column each, one row.
 *
 * @throws InputError for a scenario that `replay()` refuses, a number of seeds that is none, and as `compareColumns()`
 */
export async function compareScenarios(
  sides: readonly SideInput[],
  options: CompareScenariosOptions = {},
): Promise<SimulatedComparison> {
  const parsed = sides.map(({ name, scenario }) => ({
    ...parseScenario({ ...scenario, name }, name),
    name,
  }));
  checkOptions(
    parsed.map(({ name }) => name),
    options,
  );
  const columns: Column[] = [];
  for (const scenario of parsed)
    columns.push({
      name: scenario.name,
      runs: await runsOfScenario(scenario, options.seeds, parsed[0].seed),
    });
  const command = exitlabCommand("compare", ...parsed.map(inlineScenario), ...optionWords(options));
  return compareColumns(columns, options, { command, compared: [], notes: [] });
}

/**
 * Runs one scenario under each of some series of patches, each with some seeds, and compares them: a column for each series,
 * one row.
 *
 * @param series lists of patches, such as `[[], ["svm-fast-mmio"], [mine]]`, in place of the scenario's own
 * @throws InputError as `compareScenarios()`
 */
export async function comparePatches(
  scenario: ScenarioInput,
  series: readonly (readonly ScenarioPatchInput[])[],
  options: CompareScenariosOptions = {},
): Promise<SimulatedComparison> {
  const parsed = parseScenario(scenario);
  return comparePatched(parsed, series, options, (patches) =>
    exitlabCommand("compare", inlineScenario(parsed), ...optionWords({ patches, ...options })),
  );
}

/** See `comparePatches()`. */
export async function comparePatched(
  scenario: Scenario,
  series: readonly (readonly unknown[])[],
  options: CompareScenariosOptions,
  commandOf: (series: readonly Scenario["patches"][]) => string,
): Promise<SimulatedComparison> {
  const patched = series.map((patches) => parseScenario({ ...scenario, patches }));
  const parsed = patched.map(({ patches }) => patches);
  const names = parsed.map(seriesText);
  checkOptions(names, options);
  const columns: Column[] = [];
  for (const [index, each] of patched.entries())
    columns.push({ name: names[index], runs: await runsOfScenario(each, options.seeds) });
  const notes = withoutEffect(columns).map((name) => `${name} changed nothing that was counted`);
  return compareColumns(columns, options, { command: commandOf(parsed), compared: ["patches"], notes });
}

/** Series that count what no patch counts, seed by seed. */
function withoutEffect(columns: readonly Column[]): string[] {
  const counted = ({ runs }: Column) => canonicalJson(runs.map(({ measured }) => measured.counts));
  const plain = columns.find(({ runs: [{ scenario }] }) => scenario.patches.length === 0);
  if (plain === undefined) return [];
  return columns
    .filter((column) => column !== plain && counted(column) === counted(plain))
    .map(({ name }) => name);
}

/** A run with each of so many seeds, which all columns have in common. */
export async function runsOfScenario(
  scenario: Scenario,
  seeds = SEEDS,
  first = scenario.seed,
): Promise<ColumnRun[]> {
  const count = parseInput(integer(1, 1e6, "number of seeds"), seeds, "seeds");
  const runs: ColumnRun[] = [];
  for (let index = 0; index < count; index++) {
    const seeded = parseScenario({ ...scenario, seed: first + index });
    runs.push({ values: {}, scenario: seeded, measured: await measure(seeded) });
  }
  return runs;
}

function inlineScenario(scenario: Scenario): string {
  return inlineJson(scenarioInput(scenario));
}
