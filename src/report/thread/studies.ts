/** The study of the thread and its parts, as the command line and exports know them. */
import { oneOf, record, withoutDefaults } from "../../cost/input.js";
import { studyIncidents } from "../../study/incidents/incidents.js";
import { minimalReproduction } from "../../study/incidents/minimal-reproduction.js";
import { studyThreadIncidents } from "../../study/incidents/thread-cases.js";
import { studyBypass } from "../../study/thread/objections/bypass.js";
import { studyFaultTax } from "../../study/thread/objections/fault-tax.js";
import { studyReads } from "../../study/thread/objections/reads.js";
import { objectionOptions } from "../../study/thread/objections/setting.js";
import { studySlotPrice } from "../../study/thread/objections/slot-price.js";
import { studyOvertakes } from "../../study/thread/overtakes.js";
import { threadRates } from "../../study/thread/rates.js";
import { THREAD_SWEEP_SIZES, type ThreadSweepSize } from "../../study/thread/sweep.js";
import {
  studyThread,
  type ThreadOptions,
  type ThreadStudy,
  threadOptions,
} from "../../study/thread/thread.js";
import { studyTlbArgument, tlbArgumentOptions } from "../../study/thread/tlb-argument.js";
import type { Figure } from "../figure.js";
import { incidentsTable, tableIncidents, tableThreadIncidents, threadIncidentsTable } from "../incidents.js";
import { mail } from "../mail.js";
import type { Records } from "../records.js";
import { type Study, scenarioOption, study, withRows } from "../study-entry.js";
import { plotDesigns } from "./designs.js";
import { bypassParts, plotBypass, tableBypassed } from "./objections/bypass.js";
import { faultTaxParts, plotFaultTax } from "./objections/fault-tax.js";
import { plotReads, readsParts } from "./objections/reads.js";
import { plotSlotPrice, slotPriceParts } from "./objections/slot-price.js";
import { plotOpenSwitches } from "./open-switches.js";
import { plotQuestion } from "./question.js";
import { plotRates } from "./rates.js";
import { overtakesTable, plotConditions, plotOvertakes } from "./sweep.js";
import { threadMail, threadShortMail } from "./thread.js";
import { plotTlbArgument, tableTlbBreakEven, tlbArgumentTable } from "./tlb-argument.js";
import { plotVerdict } from "./verdict.js";

/** Fields that have their defaults would only lengthen the command that a mail names. */
const given = <Options>(schema: Parameters<typeof withoutDefaults>[0], options: object): Options =>
  withoutDefaults(schema, options) as Options;

/** A study whose mail is its parts. */
function inParts<Made extends Parameters<typeof mail>[0] & { readonly machine: string }>(
  made: Omit<Made, "parts" | "head">,
  parts: readonly string[],
): string {
  const { provenance, machine } = made;
  return mail({ provenance, head: [`Machine: ${machine}`], parts });
}

export const THREAD_STUDIES: Readonly<Record<string, Study>> = {
  thread: study(
    "the thread, answered: an ioeventfd from every EPT violation, the other designs, the objections",
    threadOptions,
    async (options) => {
      const made = await studyThread(given<ThreadOptions>(threadOptions, options));
      return {
        study: made,
        text: threadMail(made),
        short: threadShortMail(made),
        figures: threadFigures(made),
        tables: withRows(threadTables(made)),
      };
    },
  ),
  "tlb-argument": study(
    "whether a cached read-only mapping spares an EPT violation its walk, and what that is worth",
    tlbArgumentOptions,
    (options) => {
      const made = studyTlbArgument(given(tlbArgumentOptions, options));
      return {
        study: made,
        text: tlbArgumentTable(made),
        figures: { "tlb-argument": plotTlbArgument(made) },
        tables: { "break-even": tableTlbBreakEven(made) },
      };
    },
  ),
  reads: study(
    "reads of doorbells: what they cost under each design, and what becomes of them",
    objectionOptions,
    (options) => {
      const made = studyReads(given(objectionOptions, options));
      return { study: made, text: inParts(made, readsParts(made)), figures: { reads: plotReads(made) } };
    },
  ),
  "fault-tax": study(
    "the look at the fast bus that every ordinary fault pays for, by ioeventfds on it",
    objectionOptions,
    (options) => {
      const made = studyFaultTax(given(objectionOptions, options));
      return {
        study: made,
        text: inParts(made, faultTaxParts(made)),
        figures: { "fault-tax": plotFaultTax(made) },
      };
    },
  ),
  bypass: study(
    "writes to a read-only slot: what the designs bypass, and what that saves and loses",
    objectionOptions,
    (options) => {
      const made = studyBypass(given(objectionOptions, options));
      return {
        study: made,
        text: inParts(made, bypassParts(made)),
        figures: { bypass: plotBypass(made) },
        tables: withRows({ bypassed: tableBypassed(made) }),
      };
    },
  ),
  "slot-price": study(
    "what a read-only memory slot behind a doorbell costs: creation, deletion, page, look-ups",
    objectionOptions,
    (options) => {
      const made = studySlotPrice(given(objectionOptions, options));
      return {
        study: made,
        text: inParts(made, slotPriceParts(made)),
        figures: { "slot-price": plotSlotPrice(made) },
      };
    },
  ),
  "thread-incidents": study(
    "what goes wrong for guest and device under each design, case by case",
    record({}),
    () => {
      const made = studyThreadIncidents();
      return {
        study: made,
        text: threadIncidentsTable(made),
        tables: { "thread-incidents": tableThreadIncidents(made) },
      };
    },
  ),
  "thread-sweep": study(
    "all designs over many settings: where one overtakes another, and whether it matters",
    record({
      size: oneOf(Object.keys(THREAD_SWEEP_SIZES) as ThreadSweepSize[], "size of the sweep").default("short"),
    }),
    async (options) => {
      const made = await studyOvertakes(options);
      return {
        study: made,
        text: overtakesTable(made),
        figures: {
          overtakes: plotOvertakes(made),
          conditions: plotConditions(made),
          rates: plotRates(threadRates(made)),
        },
      };
    },
  ),
  incidents: study(
    "what goes wrong for the guest and the device of a scenario, against a base, with reproductions",
    record({ scenario: scenarioOption, base: scenarioOption.optional() }),
    (options) => {
      const made = studyIncidents(options);
      const reproductions = made.rows.flatMap(({ kind, first }) =>
        first === null ? [] : [minimalReproduction(options.scenario, kind)],
      );
      return {
        study: made,
        text: incidentsTable(made, reproductions),
        tables: withRows({ incidents: tableIncidents(made) }),
      };
    },
  ),
};

function threadFigures(made: ThreadStudy): Record<string, Figure> {
  const { overtakes, rates, provenance } = made;
  return {
    question: plotQuestion(made),
    designs: plotDesigns(provenance),
    verdict: plotVerdict(made),
    "tlb-argument": plotTlbArgument(made.tlb),
    reads: plotReads(made.reads),
    "fault-tax": plotFaultTax(made.faultTax),
    bypass: plotBypass(made.bypass),
    "slot-price": plotSlotPrice(made.slotPrice),
    "open-switches": plotOpenSwitches(made),
    ...(overtakes !== null && {
      overtakes: plotOvertakes(overtakes),
      conditions: plotConditions(overtakes),
    }),
    ...(rates !== null && { rates: plotRates(rates) }),
  };
}

function threadTables({ tlb, bypass, incidents }: ThreadStudy): Record<string, Records> {
  return {
    "tlb-break-even": tableTlbBreakEven(tlb),
    bypassed: tableBypassed(bypass),
    "thread-incidents": tableThreadIncidents(incidents),
  };
}
