/** Whether the accesses of a row did what its name says: a time of anything else is worse than none. */
import type { KvmStatistics } from "../../host/kvm-statistics.js";
import type { GuestRow } from "./rows.js";

/** What was seen of all accesses of a run, those of the warm-up too. */
export interface Seen {
  readonly accesses: number;
  readonly signals: number;
  /** How often KVM_RUN returned, by the reason's name; without the ends of programs. */
  readonly userspaceExits: Readonly<Record<string, number>>;
  /** null where the kernel does not tell. */
  readonly kvm: KvmStatistics | null;
}

/**
 * Each access has signalled as often as it should, came to userspace where it should and nowhere else, and has left the guest,
 * as far as KVM tells; an interrupt of the host is an exit too, so there may be more of these.
 *
 * @throws Error that says what was seen instead
 */
export function checkRow({ name, signals, userspaceExit }: GuestRow, seen: Seen): void {
  const { accesses, kvm } = seen;
  const fail = (found: string, expected: string) => {
    throw new Error(`${name}: ${accesses} accesses made ${found}, and not ${expected}`);
  };
  if (seen.signals !== signals * accesses) fail(`${seen.signals} signals`, `${signals * accesses}`);
  const expected = userspaceExit === null ? {} : { [userspaceExit]: accesses };
  if (JSON.stringify(seen.userspaceExits) !== JSON.stringify(expected))
    fail(`exits to userspace ${JSON.stringify(seen.userspaceExits)}`, JSON.stringify(expected));
  if (kvm !== null && kvm.exits < accesses) fail(`${kvm.exits} exits`, `${accesses} or more`);
}
