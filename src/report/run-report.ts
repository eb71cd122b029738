/** A run as a report: what was counted, what it costs and of what, and its exits. */
import type { ExitsStudy } from "../study/exits.js";
import { incidentRows } from "../study/incidents/incidents.js";
import { priceRun, type RunPrice } from "../study/price.js";
import type { Run } from "../study/run/run.js";
import { ioeventfdsOf, scenarioInput } from "../study/run/scenario.js";
import { exitTexts, plotExits, tableExits } from "./exits.js";
import type { Report } from "./export.js";
import { hex } from "./format.js";
import { incidentParts, tableIncidents } from "./incidents.js";
import { mail } from "./mail.js";
import { priceHead, priceParts, tablePrice } from "./price.js";
import { plotPrices } from "./price-breakdown.js";
import type { Records } from "./records.js";
import { headed, simulated, textTables, wrapText } from "./text-table.js";

/** What is known of a run beside its counts. */
export interface RunReportOptions {
  /** By default by the data files. */
  readonly price?: RunPrice;
  /** Of `exitsOf()`, for a run that `ExitCounts` observed. */
  readonly exits?: ExitsStudy;
}

/** The report of a run, for `exportReport()`. @throws InputError as `priceRun()` */
export function runReport(run: Run, { price = priceRun(run), exits }: RunReportOptions = {}): Report {
  const { scenario } = run;
  const { provenance, conditions } = price;
  const incidents = run.semantics === undefined ? [] : incidentRows(run.semantics, null);
  const hasExits = exits !== undefined && exits.samples > 0;
  return {
    title: scenario.name ?? `A run on ${conditions.model}, Linux ${scenario.kernel.slice(1)}`,
    provenance,
    scenario: scenarioInput(scenario),
    rows: { ...run, price, ...(exits && { exits }) },
    text: mail({
      provenance,
      head: [...priceHead(price), `Run: ${accessesText(run)}`],
      parts: [
        ...countTables("primitive", run.counts, run),
        ...countTables("PMU event", run.pmu, run),
        ...notesOf(run),
        ...incidentParts(run),
        ...priceParts(price),
        ...(exits === undefined ? [] : exitTexts(exits)),
      ],
    }),
    figures: {
      ...(price.items.length > 0 && { price: plotPrices({ [scenario.name ?? "run"]: price }) }),
      ...(hasExits && { exits: plotExits(exits) }),
    },
    tables: {
      counts: tableCounts(run),
      ...(incidents.length > 0 && { incidents: tableIncidents({ rows: incidents }) }),
      ...(price.items.length > 0 && { costs: tablePrice(price) }),
      ...(hasExits && { "exit-reasons": tableExits(exits) }),
    },
  };
}

/** One record per primitive, then per event of a PMU, with those that did not happen. */
export function tableCounts({ counts, pmu, accesses }: Run): Records {
  const records = (kind: string, of: Readonly<Record<string, number>>) =>
    Object.entries(of).map(([name, count]) => ({ kind, name, count, perAccess: count / accesses }));
  return [...records("primitive", counts), ...records("PMU event", pmu)];
}

function accessesText({ accesses, scenario: { vcpus, workload, recording } }: Run): string {
  const by = vcpus > 1 ? ` by ${vcpus} vCPUs` : "";
  const of = recording === undefined ? workload.map(({ name, op }) => name ?? op) : [recording.file];
  return `${accesses} accesses${by}, ${of.join(", ")}`;
}

/** Counts in all and per access, without the zeros. */
function countTables(what: string, counts: Readonly<Record<string, number>>, { accesses }: Run): string[] {
  const counted = Object.entries(counts).filter(([, count]) => count !== 0);
  if (counted.length === 0) return [];
  return headed(
    `What was counted, by ${what}`,
    textTables(
      [
        { header: simulated(what), align: "left", text: ([name]) => name },
        { header: "count", align: "right", text: ([, count]) => String(count) },
        { header: "per access", align: "right", text: ([, count]) => (count / accesses).toFixed(4) },
      ],
      counted,
    ),
  );
}

/** What is to be said of the counts: signals, how well they are known, what a recording held. */
function notesOf(run: Run): string[] {
  const lines = [...signalLines(run), ...precisionLines(run), ...recordingLines(run)];
  return lines.length === 0 ? [] : [lines.map((line) => wrapText(line)).join("\n")];
}

function signalLines({ scenario, signals }: Run): string[] {
  const { doorbells } = scenario;
  const ioeventfds = ioeventfdsOf(scenario);
  const ofDoorbells = signals.slice(ioeventfds.length).reduce((total, some) => total + some, 0);
  return [
    ...ioeventfds.map(({ addr, field }, index) => `${field} at ${hex(addr)}: ${signals[index]} signals`),
    ...(doorbells === undefined ? [] : [`doorbells at ${hex(doorbells.address)}: ${ofDoorbells} signals`]),
  ];
}

function precisionLines({ precision, scenario }: Run): string[] {
  if (precision === undefined) return [];
  const { mean, halfWidth, warmUp, reached } = precision;
  const figure = `${scenario.precision?.of} per instruction: ${mean.toFixed(4)} +- ${halfWidth.toFixed(4)} (95%)`;
  return [`${figure}, after ${warmUp} of warm-up${reached ? "" : "; the wanted precision was NOT reached"}`];
}

function recordingLines({ recording }: Run): string[] {
  if (recording === undefined) return [];
  const { lines, steps, leftOut, notes } = recording;
  return [
    `recording: ${lines} lines, ${steps} steps`,
    ...Object.entries(leftOut).map(([kind, count]) => `left out: ${count} x ${kind}`),
    ...notes,
  ];
}
