/** A calibration to a machine of one's own: times against the fit, what became of each cost, and what stays unknown. */
import { type CalibratedTime, type HostCalibration, ROOM } from "../study/calibrate/calibrate.js";
import { costColumns } from "./costs.js";
import { cycles, percent } from "./format.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";

/** One record per measured time, TSC cycles; the residual is a share of the measured one. */
export function tableCalibratedTimes(calibration: HostCalibration): Records {
  return calibration.times.map((time) => ({ ...time }));
}

const TIMES: readonly TextColumn<CalibratedTime>[] = [
  { header: simulated("time"), align: "left", text: ({ name }) => name },
  { header: "from", align: "left", text: ({ source }) => source },
  { header: "measured", align: "right", text: ({ measured }) => cycles(measured) },
  { header: "+-", align: "right", text: ({ tolerance }) => cycles(tolerance) },
  { header: "fit", align: "right", text: ({ fitted }) => cycles(fitted) },
  { header: "residual", align: "right", text: ({ residual }) => percent(residual) },
];

/** The same for a terminal or a mail: names of files and of rows are theirs who wrote them, and are shown as a mail can. */
export function calibrationTable(calibration: HostCalibration): string {
  const { provenance, tscMhz, times, costs, rank, stretch } = calibration;
  const parts = [
    ...headed(`Times against the fit [TSC cycles at ${tscMhz} MHz]`, textTables(TIMES, times)),
    ...(stretch > 1 ? [wrapText(contradiction(stretch))] : []),
    ...headed("Costs, known before and left by the fit [TSC cycles]", textTables(costColumns("is"), costs)),
    wrapText(
      `${counted(times.length, "time")} ${times.length === 1 ? "fixes" : "fix"} ${counted(rank, "independent sum")} of ${counted(costs.length, "cost")}, and ` +
        `${identifiedText(costs)}. A cost that is not called derived keeps nine tenths of its prior's range or more.`,
    ),
    ...groups("No time tells these apart", calibration.inseparable),
    ...leftOutLines(calibration).map((line) => wrapText(line)),
  ];
  return mail({ provenance, parts });
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
    const why = `of ${file}: ${reason}`;
    names.set(why, [...(names.get(why) ?? []), name]);
  }
  return [...names].map(([why, of]) => `Left out: ${of.join(", ")} ${why}.`);
}

function counted(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
