/** `exitlab measure`: what the rows take on this machine's KVM. */
import { constants } from "node:os";
import { measureTable } from "../report/measure.js";
import { saveMeasurement, vmexitText } from "../report/measure-output.js";
import { terminalLine } from "../report/terminal-line.js";
import { measureHost } from "../study/measure/measure.js";
import { positiveNumber, wholeNumber } from "./input.js";

interface Options {
  readonly rows?: readonly string[];
  readonly pin?: string;
  readonly precision?: string;
  readonly limit?: string;
  readonly output?: string;
  readonly vmexit?: boolean;
  readonly json?: boolean;
}

export async function measureCommand(options: Options): Promise<void> {
  const { rows, pin, precision, limit, output, vmexit = false, json = false } = options;
  const line = terminalLine(process.stderr);
  const measurement = await measureHost({
    onRun: (row, run) => line.show(`run ${run} of ${row}`),
    ...(rows !== undefined && { rows }),
    ...(pin !== undefined && { cpu: wholeNumber("--pin", pin) }),
    ...(precision !== undefined && { relativeHalfWidth: positiveNumber("--precision", precision) }),
    ...(limit !== undefined && { limitSeconds: wholeNumber("--limit", limit) }),
  }).finally(line.clear);
  const text = json ? `${JSON.stringify(measurement, null, 2)}\n` : measureTable(measurement);
  process.stdout.write(vmexit ? vmexitText(measurement) : text);
  if (output !== undefined) saveMeasurement(measurement, output);
  const { interrupted, failed } = measurement;
  if (failed.length > 0) process.exitCode = 1;
  if (interrupted !== null) process.exitCode = 128 + constants.signals[interrupted];
}
