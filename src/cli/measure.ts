/** `exitlab measure`: what the rows take on this machine's KVM. */

import { constants } from "node:os";
import { type Command, Option } from "commander";
import { measureTable } from "../report/measure.js";
import { saveMeasurement, vmexitText } from "../report/measure-output.js";
import { terminalLine } from "../report/terminal-line.js";
import { measureHost } from "../study/measure/measure.js";
import { HOST_ROWS } from "../study/measure/rows.js";
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

/** Adds the command to the program. */
export function addMeasure(program: Command): void {
  program
    .command("measure")
    .description("measure what an access takes on this machine's own KVM, row by row")
    .option("--rows <names...>", `of ${HOST_ROWS.join(", ")} (default: all)`)
    .option("--pin <cpu>", "keep the vCPU's thread on this processor (default: on any)")
    .option("--precision <share>", "half of the 95% interval, as a share of the median (default: 0.01)")
    .option("--limit <seconds>", "after so long rows get no more runs than an interval takes (default: 60)")
    .option("-o, --output <rows.csv>", "also write the rows, for calibrate")
    .option("--vmexit", "print each run as vmexit prints it, for calibrate and compare")
    .addOption(new Option("--json", "print JSON").conflicts("vmexit"))
    .addHelpText(
      "after",
      "\nExamples:\n  exitlab measure --pin 3 -o rows.csv\n  exitlab measure --rows cpuid ram-fault --vmexit > after.txt",
    )
    .action(measureCommand);
}

async function measureCommand(options: Options): Promise<void> {
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
