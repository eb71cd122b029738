/** What was measured on a host's KVM as other commands read it: lines that `vmexit` would print, and rows of a CSV file. */
import { InputError } from "../cost/input.js";
import { type HostMeasurement, staysInKernel } from "../study/measure/result.js";
import { writeWhole } from "../study/sweep/whole-file.js";
import { toCsv } from "./csv.js";
import { machineText } from "./measure.js";
import { asciiText } from "./text-table.js";

/** Each run as `vmexit` of kvm-unit-tests prints one: a line NAME CYCLES for each row. TSC cycles of one access. */
export function vmexitText({ rows, tsc }: HostMeasurement): string {
  const most = Math.max(...rows.map(({ runs }) => runs.length));
  const runs = Array.from({ length: most }, (_, run) =>
    rows.flatMap(({ name, unit, runs: of }) => {
      const perNs = unit === "ns" ? inCycles(tsc) : 1;
      return run < of.length && perNs !== null
        ? [`${name} ${Math.max(1, Math.round(of[run].median * perNs))}\n`]
        : [];
    }),
  );
  return runs.flat().join("");
}

/** TSC cycles of a nanosecond; null where nobody knows. */
function inCycles({ mhz }: HostMeasurement["tsc"]): number | null {
  return mhz === null ? null : mhz / 1000;
}

/** CSV rows for `exitlab calibrate`, as `data/README.md` says: of what stays in the kernel. */
export function measurementCsv({ rows, machine, tsc, version, date }: HostMeasurement): string {
  const mhz = tsc.mhz === null ? "" : thousandths(tsc.mhz);
  return toCsv(
    rows
      // What comes to userspace took Node's time: no cost of QEMU may be fitted to it.
      .filter(staysInKernel)
      .map(({ name, unit, median, low, high }) => ({
        row: name,
        cycles: thousandths(median),
        unit,
        machine: csvText(machineText(machine)),
        kernel: csvText(machine.kernel ?? "not named"),
        source: `exitlab ${version} measure, ${date}`,
        // A spread of 0 would be a tolerance of 0: the last digit is no certainty.
        spread: thousandths(Math.max(high - median, median - low)) || "",
        tsc_mhz: mhz,
      })),
  );
}

/** Writes `measurementCsv()` to a file. @throws InputError where it cannot be written */
export function saveMeasurement(measurement: HostMeasurement, path: string): void {
  try {
    writeWhole(path, [measurementCsv(measurement)]);
  } catch (error) {
    throw new InputError(path, (error as Error).message, "a file that can be written");
  }
}

function thousandths(value: number): number {
  return Number(value.toFixed(3));
}

/** In ASCII, without words that no mail can carry. */
function csvText(text: string): string {
  return asciiText(text).replaceAll(/\S{69}/g, "$& ");
}
