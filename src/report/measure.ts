/**
 * What was measured on a host's KVM, in records and in ASCII. Beside the times stands what one access did, and what the times of
 * this machine do not say.
 */
import type { HostMachine } from "../host/machine.js";
import { type HostMeasurement, type MeasuredRow, staysInKernel } from "../study/measure/result.js";
import { cycles, range } from "./format.js";
import { wrapCommand } from "./mail.js";
import type { Records } from "./records.js";
import {
  headed,
  listItem,
  MAIL_WIDTH,
  mailText,
  measured,
  type TextColumn,
  textTables,
  wrapText,
} from "./text-table.js";

/** One record per row, its times in its unit; what is not known is NaN. */
export function tableMeasured({ rows }: HostMeasurement): Records {
  return rows.map(
    ({ name, unit, median, low, high, spread, batches, accessesPerBatch, runs, noisy, did }) => ({
      row: name,
      unit,
      median,
      low,
      high,
      spread,
      batches,
      accessesPerBatch,
      runs: runs.length,
      noisy,
      signals: did?.signals ?? Number.NaN,
      userspaceExits: userspaceExits(did) ?? Number.NaN,
      exits: did?.kvm?.exits ?? Number.NaN,
    }),
  );
}

/** What is known of a machine, in a few words. */
export function machineText({ cpuModel, microcode, kvmModule, paging, virtualized }: HostMachine): string {
  return [
    cpuModel ?? "a processor that is not named",
    ...(microcode === null ? [] : [`microcode ${microcode}`]),
    kvmModule ?? "no module of KVM",
    PAGING_TEXTS[paging],
    ...(virtualized === null ? [] : [`itself a guest (${virtualized.hypervisor})`]),
  ].join(", ");
}

const PAGING_TEXTS: Readonly<Record<HostMachine["paging"], string>> = {
  ept: "EPT",
  npt: "nested page tables",
  shadow: "shadow paging",
  unknown: "paging unknown",
};

const TIMES: readonly TextColumn<MeasuredRow>[] = [
  { header: measured("row"), align: "left", text: ({ name }) => name },
  { header: "median", align: "right", text: ({ median }) => cycles(median) },
  { header: "95% interval", align: "right", text: (row) => range(row, cycles) },
  { header: "IQR", align: "right", text: ({ spread }) => cycles(spread) },
  { header: "n", align: "right", text: ({ batches }) => String(batches) },
  { header: "runs", align: "right", text: ({ runs, noisy }) => `${runs.length}${noisy ? " !" : ""}` },
];

const ofKvm = (header: string, name: string): TextColumn<MeasuredRow> => ({
  header,
  align: "right",
  text: ({ did }) => average(did?.kvm?.[name]),
});

const DID: readonly TextColumn<MeasuredRow>[] = [
  { header: measured("row"), align: "left", text: ({ name }) => name },
  { header: "signals", align: "right", text: ({ did }) => average(did?.signals) },
  { header: "userspace", align: "right", text: ({ did }) => average(userspaceExits(did)) },
  ofKvm("exits", "exits"),
  ofKvm("emulated", "insn_emulation"),
  ofKvm("faults", "pf_taken"),
];

function average(count: number | undefined): string {
  return count === undefined ? "-" : count.toFixed(2);
}

function userspaceExits(did: MeasuredRow["did"]): number | undefined {
  return did === null ? undefined : Object.values(did.userspaceExits).reduce((sum, count) => sum + count, 0);
}

/** The measurement in ASCII, at most 72 columns: times, what one access did, and what these figures do not say. */
export function measureTable(measurement: HostMeasurement): string {
  const { rows, unfinished, failed, limits, advice, command, relativeHalfWidth } = measurement;
  const isGuest = ({ did }: MeasuredRow) => did !== null;
  const parts = [
    headText(measurement),
    ...headed(
      `What one access takes [TSC cycles${rows.every(isGuest) ? "" : "; immediate-exit: ns"}]`,
      textTables(TIMES, rows),
    ),
    wrapText(
      "A run is a virtual machine of its own; n batches in all runs. median: of the runs' medians, with the 95% interval of its order statistics. " +
        "IQR: the middle half of all batches lies within as much.",
    ),
    ...noiseText(rows, relativeHalfWidth),
    ...failed.map(({ name, reason }) => wrapText(`Not measured: ${name}, for ${reason}.`)),
    ...(unfinished.length === 0
      ? []
      : [wrapText(`Interrupted before they were done: ${unfinished.join(", ")}.`)]),
    ...userspaceText(rows),
    ...headed("What one access did, on average", textTables(DID, rows.filter(isGuest))),
    wrapText(
      "Each run was checked: every access signalled, and came to userspace, as its row's name says. exits, emulated, faults: KVM's own " +
        "statistics exits, insn_emulation and pf_taken, and - where it keeps none. Interrupts of the host are exits too; an access to what " +
        "KVM knows for MMIO is no fault.",
    ),
    ...pmuTables(measurement),
    ...section("What these times do not say", limits),
    ...section("What would make them steadier", advice),
    `To repeat:\n${wrapCommand(command, MAIL_WIDTH)}`,
  ];
  return mailText(`${parts.join("\n\n")}\n`);
}

function headText({ version, date, machine, tsc, pinned }: HostMeasurement): string {
  const { kernel, mmioCaching, mitigations } = machine;
  const against = Object.entries(mitigations).filter(([, what]) => what !== "Not affected");
  return [
    `MEASURED by exitlab ${version} on ${date}`,
    `Machine: ${machineText(machine)}`,
    `Kernel: ${kernel ?? "not named"}`,
    ...(mmioCaching === null ? [] : [`MMIO caching: ${mmioCaching ? "on" : "off"}`]),
    `Mitigations: ${against.map(([name, what]) => `${name}: ${what}`).join("; ") || "none is needed"}`,
    `TSC: ${tsc.mhz === null ? "of unknown frequency" : `${tsc.mhz.toFixed(3)} MHz`}. ${tsc.doubts.join(" ")}`,
    `vCPU: ${pinned === null ? "on any CPU" : `kept on CPU ${pinned}`}`,
  ]
    .map((line) => wrapText(line.trim()))
    .join("\n");
}

function noiseText(rows: readonly MeasuredRow[], relativeHalfWidth: number): string[] {
  const noisy = rows.filter((row) => row.noisy).map(({ name }) => name);
  if (noisy.length === 0) return [];
  return [
    wrapText(
      `! This machine is noisy: of ${noisy.join(", ")} the runs do not agree within their intervals, or all together give no interval within ${100 * relativeHalfWidth}%; another measurement may not agree either.`,
    ),
  ];
}

/** Rows whose time holds userspace. */
function userspaceText(rows: readonly MeasuredRow[]): string[] {
  const names = rows.filter((row) => !staysInKernel(row)).map(({ name }) => name);
  if (names.length === 0) return [];
  return [
    wrapText(
      `Userspace of ${names.join(", ")} is Node through a foreign-function interface here, and not QEMU: these times are no others' times.`,
    ),
  ];
}

/** What the performance-monitoring unit counted for one access, and what it did not. */
function pmuTables({ rows, pmuNotes }: HostMeasurement): string[] {
  const counted = rows.flatMap(({ name, did }) => (did === null ? [] : [{ name, pmu: did.pmu }]));
  const events = [...new Set(counted.flatMap(({ pmu }) => Object.keys(pmu)))];
  const columns: readonly TextColumn<(typeof counted)[number]>[] = [
    { header: measured("row"), align: "left", text: ({ name }) => name },
    ...events.map(
      (event): TextColumn<(typeof counted)[number]> => ({
        header: event,
        align: "right",
        text: ({ pmu }) => average(pmu[event]),
      }),
    ),
  ];
  const tables =
    events.length === 0
      ? []
      : headed("In the guest, by the PMU, for one access", textTables(columns, counted));
  return [...tables, ...section("Page walks", pmuNotes)];
}

function section(heading: string, sentences: readonly string[]): string[] {
  return sentences.length === 0 ? [] : [[`${heading}:`, ...sentences.map(listItem)].join("\n")];
}
