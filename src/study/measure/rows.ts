/**
 * The rows that are measured, each the scenario that the model simulates too (vmexit-rows.ts), with what one access of it has
 * to do: on a host where it does anything else, the row is not what its name says.
 */
import { cpuNames } from "../../cost/cpu-profile.js";
import { InputError, notAllowed } from "../../cost/input.js";
import { parseScenario, type Scenario } from "../run/scenario.js";
import { type RowScenario, vmexitRow } from "../vmexit-rows.js";

/** A row that the guest times itself: it makes the scenario's access again and again. */
export interface GuestRow {
  readonly name: string;
  /** Its memory, ioeventfds and access; of a processor and a kernel that play no part here. */
  readonly scenario: Scenario;
  /** The guest reads a byte at this address (in bytes) before all else. */
  readonly readFirst: number | undefined;
  /** How often one access signals the row's eventfd. */
  readonly signals: 0 | 1;
  /** How it comes to userspace: the reason for which KVM_RUN returns, once for each access; null: not at all. */
  readonly userspaceExit: "KVM_EXIT_MMIO" | "KVM_EXIT_IO" | null;
}

/** KVM_RUN that returns before it enters the guest, timed by userspace. */
export interface ImmediateExitRow {
  readonly name: typeof IMMEDIATE_EXIT;
}

export type HostRow = GuestRow | ImmediateExitRow;

const IMMEDIATE_EXIT = "immediate-exit";

type Does = Pick<GuestRow, "signals" | "userspaceExit">;
const SIGNALS: Does = { signals: 1, userspaceExit: null };
const STAYS: Does = { signals: 0, userspaceExit: null };

const ROWS: Readonly<Record<string, Does | typeof IMMEDIATE_EXIT>> = {
  "mmio-no-eventfd": { signals: 0, userspaceExit: "KVM_EXIT_MMIO" },
  "mmio-wildcard-eventfd": SIGNALS,
  "mmio-datamatch-eventfd": SIGNALS,
  "portio-no-eventfd": { signals: 0, userspaceExit: "KVM_EXIT_IO" },
  "portio-wildcard-eventfd": SIGNALS,
  "portio-datamatch-eventfd": SIGNALS,
  "ro-wildcard-untouched": SIGNALS,
  "ro-wildcard-populated": SIGNALS,
  "ro-sized-untouched": SIGNALS,
  "ro-sized-populated": SIGNALS,
  "ro-datamatch-untouched": SIGNALS,
  "ro-datamatch-populated": SIGNALS,
  cpuid: STAYS,
  "ram-fault": STAYS,
  [IMMEDIATE_EXIT]: IMMEDIATE_EXIT,
};

/** One that has ioeventfds of any length: `openKvm()` takes no host with an older one. */
const KERNEL = "v6.19";

/** Of rows that need no memory of their own: what the program of the guest takes, and more. */
const MEMORY = [{ gpa: 0, size: 16 * 2 ** 20 }];

export const HOST_ROWS: readonly string[] = Object.keys(ROWS);

/** The rows of these names, in the order of the table. @throws InputError for another name, or one that is there twice */
export function hostRows(names: readonly string[] = HOST_ROWS): HostRow[] {
  names.forEach((name, index) => {
    const found = notAllowed(name);
    if (!HOST_ROWS.includes(name)) throw new InputError("rows", found, `of ${HOST_ROWS.join(", ")}`);
    if (names.indexOf(name) < index) throw new InputError("rows", found, "each row once");
  });
  if (names.length === 0) throw new InputError("rows", notAllowed(names), "at least one row");
  return HOST_ROWS.filter((name) => names.includes(name)).map(hostRow);
}

/** A virtual machine whose guest does nothing that is timed. */
export function idle(): Scenario {
  return complete({ workload: [{ op: "cpuid" }] }, "idle");
}

function hostRow(name: string): HostRow {
  const does = ROWS[name];
  if (does === IMMEDIATE_EXIT) return { name: IMMEDIATE_EXIT };
  const row = vmexitRow(name, KERNEL);
  if (row === undefined || !("scenario" in row)) throw new RangeError(`${name} is no simulated row`);
  const { readFirst, ...scenario } = row.scenario;
  return { name, scenario: complete(scenario, name), readFirst, ...does };
}

function complete(scenario: Omit<RowScenario, "readFirst">, name: string): Scenario {
  const machine = { cpu: cpuNames()[0], kernel: KERNEL, memslots: MEMORY, accesses: 1 };
  return parseScenario({ ...machine, ...scenario }, name);
}
