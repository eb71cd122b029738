/** What went wrong for guest and device, as text and tables: of a run, of a scenario against a base, of the thread's cases. */
import { type GuestStep, stepText } from "../study/incidents/guest-steps.js";
import { type IncidentRow, type Incidents, incidentRows } from "../study/incidents/incidents.js";
import type { Reproduction } from "../study/incidents/minimal-reproduction.js";
import type { ThreadIncidents, ThreadOutcome } from "../study/incidents/thread-cases.js";
import type { Run } from "../study/run/run.js";
import { INCIDENT_KINDS, type IncidentKind, type MeasuredSemantics } from "../study/run/semantics.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, MAIL_WIDTH, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";

/** In cells of the thread's table. */
const LETTERS: Readonly<Record<IncidentKind, string>> = {
  "spurious-signal": "S",
  "lost-load": "L",
  "lost-kick": "K",
  "skipped-instruction": "I",
  "wrong-data": "D",
};

/** One record per kind of incident that happens; the instruction is 0 for one that happens in the base only. */
export function tableIncidents({ rows }: Pick<Incidents, "rows">): Records {
  return rows.map(({ kind, count, lessBase, first }) => ({
    ...{ incident: kind, count },
    ...(lessBase !== null && { lessBase }),
    instruction: first?.instruction ?? 0,
    vcpu: first?.vcpu ?? 0,
    op: first?.op ?? "",
    expected: first?.expected ?? "",
    happened: first?.happened ?? "",
  }));
}

/** The mail of a scenario's incidents, with reproductions if there are any. */
export function incidentsTable(incidents: Incidents, reproductions: readonly Reproduction[] = []): string {
  const { provenance, scenario, base, accesses, seen, rows } = incidents;
  const against = base === null ? "" : `, against ${base.name ?? base.kernel}`;
  return mail({
    provenance,
    head: [`Incidents of ${scenario.name ?? scenario.kernel}${against}: ${accesses} instructions`],
    parts: [
      wrapText(kicksText(seen)),
      ...(rows.length === 0 ? ["No incidents."] : rowParts(rows)),
      ...reproductions.map(reproductionText),
    ],
  });
}

/** What a run has to say of its incidents: nothing where there are none. */
export function incidentParts({ semantics }: Pick<Run, "semantics">): string[] {
  if (semantics === undefined) return [];
  const rows = incidentRows(semantics, null);
  return rows.length === 0 ? [] : [...rowParts(rows), wrapText(kicksText(semantics))];
}

/** A reproduction, as a part of a mail: the steps, and KVM's events of the last one. */
export function reproductionText({ kind, steps, first, ftrace }: Reproduction): string {
  const lines = steps.map((step: GuestStep, index) => `${index + 1}. ${stepText(step)}`);
  const events = ftrace
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.replace(/^.*?\d+\.\d+: /, ""));
  return [
    `To see ${kind} on a fresh machine (SIMULATED):`,
    ...lines.map((line) => wrapText(line)),
    wrapText(`Expected: ${first.expected}. Happened: ${first.happened}.`),
    "Events of the last step:",
    ...events.flatMap((event) =>
      wrapText(event, MAIL_WIDTH - 2)
        .split("\n")
        .map((line) => `  ${line}`),
    ),
  ].join("\n");
}

/** One record per case and design. */
export function tableThreadIncidents({ cases, outcomes }: ThreadIncidents): Records {
  return outcomes.map(({ number, design, seen, stopped }) => ({
    case: number,
    title: cases.find((of) => of.number === number)?.title ?? "",
    design,
    ...Object.fromEntries(INCIDENT_KINDS.map((kind) => [kind, seen?.incidents[kind]?.count ?? 0])),
    kicksByUserspace: seen?.kicksByUserspace ?? 0,
    stopped: stopped ?? "",
  }));
}

/** One record per case, in it a cell for each design: letter and number of its incidents, such as "S1 L1 u2". */
export function tableThreadCases({ designs, cases, outcomes }: ThreadIncidents): Records {
  const cells = new Map(outcomes.map((of) => [`${of.number} ${of.design}`, cellOf(of)]));
  return cases.map(({ number }) => ({
    case: number,
    ...Object.fromEntries(designs.map((design) => [design, cells.get(`${number} ${design}`) ?? ""])),
  }));
}

/** The mail of the thread's cases: which incidents each design has in them. */
export function threadIncidentsTable(study: ThreadIncidents): string {
  return mail({ provenance: study.provenance, parts: threadIncidentParts(study) });
}

/** What each consequence of the patches comes to on each design: which incidents, without how many. */
export function threadIncidentParts(study: ThreadIncidents): string[] {
  const { designs, cases, outcomes } = study;
  const records = tableThreadCases(study);
  type Design = (typeof designs)[number];
  const columns: TextColumn<Design>[] = [
    { header: simulated("design"), align: "left", text: (design) => design },
    ...cases.map(
      ({ number }, index): TextColumn<Design> => ({
        header: number,
        align: "left",
        text: (design) => String(records[index][design]).replaceAll(/[\d ]/g, ""),
      }),
    ),
  ];
  const happened = new Set(outcomes.flatMap(({ seen }) => Object.keys(seen?.incidents ?? {})));
  const letters = INCIDENT_KINDS.filter((kind) => happened.has(kind)).map(
    (kind) => `${LETTERS[kind]} ${kind}`,
  );
  return [
    [
      "What goes wrong, case by case:",
      ...cases.map(({ number, title }) => wrapText(`${number}: ${title}`)),
    ].join("\n"),
    ...headed(
      `Incidents: ${letters.join(", ")}. u: kicks that userspace got in place of the eventfd, which is none`,
      textTables(columns, designs),
    ),
  ];
}

/** Such as "S1 L1 u2"; "-" where all is as it should be. */
function cellOf(outcome: ThreadOutcome | undefined): string {
  if (outcome === undefined || outcome.seen === null) return "stop";
  const { incidents, kicksByUserspace } = outcome.seen;
  const cells = INCIDENT_KINDS.flatMap((kind) => {
    const incident = incidents[kind];
    return incident === undefined ? [] : [`${LETTERS[kind]}${incident.count}`];
  });
  if (kicksByUserspace > 0) cells.push(`u${kicksByUserspace}`);
  return cells.length === 0 ? "-" : cells.join(" ");
}

function rowParts(rows: readonly IncidentRow[]): string[] {
  const columns: TextColumn<IncidentRow>[] = [
    { header: simulated("incident"), align: "left", text: ({ kind }) => kind },
    { header: "instructions", align: "right", text: ({ count }) => String(count) },
    ...(rows.some(({ lessBase }) => lessBase !== null)
      ? [
          {
            header: "less base",
            align: "right",
            text: ({ lessBase }) => (lessBase === null ? "" : signedCount(lessBase)),
          } satisfies TextColumn<IncidentRow>,
        ]
      : []),
    {
      header: "first at",
      align: "right",
      text: ({ first }) => (first === null ? "-" : String(first.instruction)),
    },
  ];
  const firsts = rows.flatMap(({ kind, first }) => (first === null ? [] : [firstText(kind, first)]));
  return [
    ...headed("What guest and device should not have seen, by instruction", textTables(columns, rows)),
    firsts.map((text) => wrapText(text)).join("\n"),
  ];
}

function firstText(kind: IncidentKind, first: NonNullable<IncidentRow["first"]>): string {
  const { instruction, vcpu, op, expected, happened } = first;
  return `${kind}, first at ${instruction} on vCPU ${vcpu}: ${op}. Expected: ${expected}. Happened: ${happened}.`;
}

function kicksText({ kicks, kicksByUserspace, doorbellReads }: MeasuredSemantics): string {
  const by =
    kicksByUserspace === 0 ? "" : `, of which userspace got ${kicksByUserspace} in place of the eventfd`;
  return `Writes to doorbells: ${kicks}${by}; reads at them: ${doorbellReads}.`;
}

function signedCount(count: number): string {
  return count > 0 ? `+${count}` : String(count);
}
