/** `exitlab study`: the table on stdout, files where asked for, what is missing on stderr. */
import { InputError, notAllowed } from "../cost/input.js";
import type { ExitEvicts } from "../kvm/x86.js";
import { exportStudy } from "../report/export.js";
import { mailTable } from "../report/mail-table.js";
import { studyPciTestdev } from "../study/pci-testdev.js";
import { wholeNumber } from "./input.js";

interface Options {
  readonly cpu?: string;
  readonly exitEvicts?: ExitEvicts;
  readonly measurement?: string;
  readonly cost: readonly string[];
  readonly accesses?: string;
  readonly seed?: string;
  readonly out?: string;
}

export async function studyCommand(_name: string, options: Options): Promise<void> {
  const { accesses, seed, out, cost, ...rest } = options;
  const study = studyPciTestdev({
    ...rest,
    costs: Object.fromEntries(cost.map(costRange)),
    ...(accesses === undefined ? {} : { accesses: wholeNumber("--accesses", accesses) }),
    ...(seed === undefined ? {} : { seed: wholeNumber("--seed", seed) }),
  });
  process.stdout.write(mailTable(study));
  if (out === undefined) return;
  const { files, notes } = await exportStudy(study, out);
  process.stdout.write(`\nWritten: ${files.join(", ")}\n`);
  for (const note of notes) process.stderr.write(`exitlab: not written: ${note}\n`);
}

/** "name=low..high", as the study's own command line has it. */
function costRange(text: string): [string, { low: number; high: number }] {
  const parts = /^(\w+)=(-?[\d.]+?)\.\.(-?[\d.]+)$/.exec(text);
  if (parts === null)
    throw new InputError("--cost", notAllowed(text), "name=low..high, such as fastPioOut=20..60");
  return [parts[1], { low: Number(parts[2]), high: Number(parts[3]) }];
}
