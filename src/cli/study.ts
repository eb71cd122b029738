/** `exitlab study`: the mail of a study on stdout, files where asked for, what is missing on stderr. */
import { type Command, Option } from "commander";
import { cpuNames } from "../cost/cpu-profile.js";
import { type FieldDescription, InputError, notAllowed, suggestion } from "../cost/input.js";
import { EXIT_EVICTS } from "../kvm/x86.js";
import { expectExport } from "../report/export.js";
import { STUDY_DESCRIPTIONS, type StudyDescription, studyReport } from "../report/studies.js";
import { wrapText } from "../report/text-table.js";
import { readJson, wholeNumber } from "./input.js";
import { FORMATS_OPTION, parseFormats, writeReport } from "./write-report.js";

interface Options {
  readonly options?: string;
  readonly out?: string;
  readonly formats?: string;
  readonly json?: boolean;
  readonly short?: boolean;
}

/** Adds `study` to the program, with a command of its own for each study. */
export function addStudy(program: Command): void {
  const studies = program
    .command("study")
    .description("run a study and print its mail; without a name, list the studies")
    .argument("[name]", "which study")
    .addHelpText(
      "after",
      "\nExamples:\n  exitlab study pci-testdev --cpu ivy-bridge-i7-3770k --out out\n  exitlab study load-latency --help",
    )
    .action(list);
  for (const description of STUDY_DESCRIPTIONS) addOne(studies, description);
}

/** Without a name that is known. */
function list(name: string | undefined): void {
  const names = STUDY_DESCRIPTIONS.map((study) => study.name);
  if (name !== undefined)
    throw new InputError(
      "study",
      `${notAllowed(name)}${suggestion(name, names)}`,
      `one of ${names.join(", ")}`,
    );
  const width = Math.max(...names.map(({ length }) => length));
  for (const study of STUDY_DESCRIPTIONS)
    process.stdout.write(`${study.name.padEnd(width)}  ${study.summary}\n`);
}

function addOne(studies: Command, { name, summary, options: fields }: StudyDescription): void {
  const command = studies
    .command(name)
    .description(summary)
    .option("--out <folder>", "also write figures, rows and mail into this folder")
    .option(...FORMATS_OPTION)
    .option("--json", "print JSON, as in rows.json")
    .action((options: Options) => runStudy(name, options));
  if (fields.length > 0) command.option("--options <json>", "its options as JSON, or a file with them");
  command.addHelpText("after", optionsText(fields));
  if (name === PCI_TESTDEV) addFlags(command);
  if (name === THREAD) command.option("--short", "print the answer and the verdict only");
  command.addHelpText("after", `\nExample:\n  exitlab study ${name} --out out`);
}

/** Fields at the first level: what lies deeper stands in their words. */
function optionsText(fields: readonly FieldDescription[]): string {
  const lines = fields
    .filter(({ field }) => !field.includes("."))
    .map(({ field, allowed, default: usual }) => {
      const end = usual === "" ? "" : usual === "required" ? "; required" : `; default ${usual}`;
      return `  ${field}\n      ${wrapText(`${allowed}${end}`).replaceAll("\n", "\n      ")}`;
    });
  return lines.length === 0 ? "" : `\nFields of --options:\n${lines.join("\n")}`;
}

async function runStudy(name: string, options: Options, flags: object = {}): Promise<void> {
  const { options: given, out, formats, json = false, short = false } = options;
  // Before what may take a minute.
  const wanted = formats === undefined ? undefined : parseFormats(formats);
  if (wanted !== undefined && out === undefined)
    throw new InputError("--formats", "is given without --out", "--out and the folder that they go into");
  const asked = given === undefined ? {} : readJson<object>(given);
  const making = studyReport(name, { ...asked, ...flags });
  // Second: it takes a while to load, in which threads of the study can begin.
  if (out !== undefined) expectExport(wanted);
  const report = await making;
  const text = short ? (report.short ?? report.text) : report.text;
  process.stdout.write(json ? `${JSON.stringify(report.rows, null, 2)}\n` : text);
  if (out === undefined) return;
  const files = await writeReport(report, out, wanted);
  if (!json) process.stdout.write(`\nWritten: ${files.join(", ")}\n`);
}

// The flags of the study that came first.

const PCI_TESTDEV = "pci-testdev";
const THREAD = "thread";

interface Flags {
  readonly cpu?: string;
  readonly exitEvicts?: string;
  readonly measurement?: string;
  readonly cost: readonly string[];
  readonly accesses?: string;
  readonly seed?: string;
}

function addFlags(command: Command): void {
  command
    .addOption(new Option("--cpu <name>", "processor that the rows are shown for").choices(cpuNames()))
    .addOption(new Option("--exit-evicts <what>", "what an exit evicts there").choices([...EXIT_EVICTS]))
    .option("--measurement <file.csv>", "rows of a machine of your own, in place of those of 2013")
    .option(
      "--cost <name=low..high>",
      "another prior range for a cost, in cycles; may be repeated",
      (value: string, before: readonly string[]) => [...before, value],
      [],
    )
    .option("--accesses <n>", "guest instructions per row")
    .option("--seed <n>", "seed of the workload")
    .action((options: Options & Flags) => runStudy(PCI_TESTDEV, options, optionsOf(options)));
}

/** The same as fields of --options. */
function optionsOf({ cpu, exitEvicts, measurement, cost, accesses, seed }: Flags): object {
  return {
    ...(cpu !== undefined && { cpu }),
    ...(exitEvicts !== undefined && { exitEvicts }),
    ...(measurement !== undefined && { measurement }),
    ...(cost.length > 0 && { costs: Object.fromEntries(cost.map(costRange)) }),
    ...(accesses !== undefined && { accesses: wholeNumber("--accesses", accesses) }),
    ...(seed !== undefined && { seed: wholeNumber("--seed", seed) }),
  };
}

/** "name=low..high", as the study's own command line has it. */
function costRange(text: string): [string, { low: number; high: number }] {
  const parts = /^(\w+)=(-?[\d.]+?)\.\.(-?[\d.]+)$/.exec(text);
  if (parts === null)
    throw new InputError("--cost", notAllowed(text), "name=low..high, such as fastPioOut=20..60");
  return [parts[1], { low: Number(parts[2]), high: Number(parts[3]) }];
}
