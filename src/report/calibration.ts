/** A calibration to a machine of one's own: times against the fit, what became of each cost, and what stays unknown. */
import { type CalibratedTime, type HostCalibration, ROOM } from "../study/calibrate/calibrate.js";
import { costColumns } from "./costs.js";
import { cycles, percent } from "./format.js";
import type { Records } from "./records.js";
import { mailText, type TextColumn, textTables, wrapText } from "./text-table.js";

/** One record per measured time, TSC cycles; the residual is a share of the measured one. */
export function tableCalibratedTimes(calibration: HostCalibration): Records {
  return calibration.times.map((time) => ({ ...time }));
}

/** Characters of a name that leave a line room for what stands around it. */
const WORD = 60;

const TIMES: readonly TextColumn<CalibratedTime>[] = [
  { header: "time", align: "left", text: ({ name }) => name },
  { header: "from", align: "left", text: ({ source }) => source },
  { header: "measured", align: "right", text: ({ measured }) => cycles(measured) },
  { header: "+-", align: "right", text: ({ tolerance }) => cycles(tolerance) },
  { header: "fit", align: "right", text: ({ fitted }) => cycles(fitted) },
  { header: "residual", align: "right", text: ({ residual }) => percent(residual) },
];

/** The same for a terminal or a mail: names of files and of rows are theirs who wrote them, and are shown as a mail can. */
export function calibrationTable(calibration: HostCalibration): string {
  const { cpu, kernel, mitigations, tscMhz, times, costs, rank, stretch } = calibration;
  const { version, model, data } = calibration.provenance;
  const parts = [
    wrapText(
      `Costs of ${cpu}, Linux ${kernel.slice(1)}, mitigations ${mitigations} [TSC cycles at ${tscMhz} MHz]: ` +
        `exitlab ${version}, model ${model}, data ${data}`,
    ),
    ...textTables(TIMES, times),
    ...(stretch > 1 ? [wrapText(contradiction(stretch))] : []),
    ...textTables(costColumns("is"), costs),
    wrapText(
      `${counted(times.length, "time")} ${times.length === 1 ? "fixes" : "fix"} ${counted(rank, "independent sum")} of ${counted(costs.length, "cost")}, and ` +
        `${identifiedText(costs)}. A cost that is not called derived keeps nine tenths of its prior's range or more.`,
    ),
    ...groups("No time tells these apart", calibration.inseparable),
    ...leftOutLines(calibration).map((line) => wrapText(line)),
  ];
  return mailText(`${parts.join("\n\n")}\n`);
}

function identifiedText(costs: HostCalibration["costs"]): string {
  const names = costs.filter(({ identified }) => identified).map(({ name }) => name);
  return names.length === 0
    ? "none of these by itself"
    : `by themselves ${names.join(", ")}; of all others only sums`;
}

function contradiction(stretch: number): string {
  return (
    `The times contradict each other, or the assumed ranges: no costs meet them unless their tolerances are ` +
    `${stretch.toFixed(2)} times as wide. The ranges are for ${(ROOM * stretch).toFixed(2)} times as wide.`
  );
}

function groups(what: string, of: readonly (readonly string[])[]): string[] {
  const several = of.filter((group) => group.length > 1).map((group) => group.join(", "));
  return several.length === 0 ? [] : [wrapText(`${what}: ${several.join("; ")}.`)];
}

/** A sentence per file and reason. */
function leftOutLines({ leftOut }: HostCalibration): string[] {
  const names = new Map<string, string[]>();
  for (const { file, name, reason } of leftOut) {
    const why = `of ${word(file)}: ${reason}`;
    names.set(why, [...(names.get(why) ?? []), word(name)]);
  }
  return [...names].map(([why, of]) => `Left out: ${of.join(", ")} ${why}.`);
}

function counted(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

/** In ASCII, and the end of what is too long for a line. */
function word(name: string): string {
  const ascii = name.replaceAll(/[^\x21-\x7e]/gu, "?");
  return ascii.length <= WORD ? ascii : `...${ascii.slice(-WORD)}`;
}
