/**
 * Updates of the memory slots, measured by what follows: the guest touches pages of three kinds before and after, and what the second
 * round takes more is the guest's part. Rounds differ by nothing else.
 */
import { type Counts, occurrences } from "../../../cost/counts.js";
import { loadCpu } from "../../../cost/cpu-profile.js";
import { priceCounts } from "../../../cost/price.js";
import { type PrimitiveCost, primitiveCosts } from "../../../cost/primitive-costs.js";
import { linearBounds } from "../../../cost/uncertainty.js";
import { PRIMITIVES } from "../../../kvm/primitives.js";
import { PAGE } from "../../../x86/mmu.js";
import type { Interval } from "../../result.js";
import { Machine } from "../../run/machine.js";
import { parseScenario, type Scenario } from "../../run/scenario.js";
import { DOORBELLS, QUEUES, type Setting } from "../setting.js";
import { touch } from "./touch.js";

/** Kernels whose updates are looked at: those of the designs with a slot. */
export const SLOT_KERNELS = ["v4.2", "v6.19"] as const;
export type SlotKernel = (typeof SLOT_KERNELS)[number];

/** The last is both in a row, before the guest goes on. */
export const SLOT_EVENTS = ["create", "delete", "recreate"] as const;

/**
 * Pages that an update may cost something: doorbells of other devices on the fast bus, pages of devices that userspace
 * emulates, and RAM that is in use.
 */
export const PAGE_KINDS = ["doorbell", "device", "ram"] as const;
export type PageKind = (typeof PAGE_KINDS)[number];

/** TSC cycles. */
export interface SlotEvent {
  readonly kernel: SlotKernel;
  readonly event: (typeof SLOT_EVENTS)[number];
  /** Of the ioctl itself, in userspace's time: how often each primitive happens, and what it takes. */
  readonly ioctlCounts: Counts;
  readonly ioctl: Interval;
  /** Of the guest, when it touches a page of each kind for the first time after it. */
  readonly perPage: Readonly<
    Record<PageKind, { readonly exits: number; readonly userspaceExits: number; readonly cycles: Interval }>
  >;
}

const WHAT = "studySlotPrice";
/** Pages of a kind that are touched; what one takes is in proportion. */
const PAGES = 64;

/** Bytes for the guest's paging structures. */
const TABLES = 2 ** 24;
/** The slot that comes and goes: the first of the scenario. */
const SLOT = 0;
const FIRST_PAGES = {
  slot: DOORBELLS / PAGE,
  doorbell: 0xe000_0000 / PAGE,
  device: 0xe100_0000 / PAGE,
  other: 0xe200_0000 / PAGE,
  ram: 2 ** 32 / PAGE,
} as const;

/** A machine with a slot that comes and goes, and pages of all kinds. */
export function scenarioOfSlot(kernel: SlotKernel, { cpu, seed }: Setting): Scenario {
  return parseScenario({
    cpu,
    kernel,
    memslots: [
      { gpa: FIRST_PAGES.slot * PAGE, size: QUEUES * PAGE, readonly: true },
      // So far apart that no fault maps the page of another.
      { gpa: FIRST_PAGES.ram * PAGE, size: PAGES * STRIDES.ram * PAGE },
      { gpa: 0, size: TABLES, backing: "2M" },
    ],
    ioeventfds: [{ addr: FIRST_PAGES.doorbell * PAGE, len: 0, count: PAGES, stride: PAGE }],
    // Touched page by page, see `Guest`.
    workload: [{ op: "load", address: 0 }],
    accesses: 1,
    seed,
  });
}

/** From one page that is touched to the next. */
const STRIDES: Readonly<Record<PageKind, number>> = { doorbell: 1, device: 1, ram: 16 };

/** A guest that touches so many pages of a kind, one after the other. */
class Guest {
  readonly machine: Machine;

  constructor(
    scenario: Scenario,
    private readonly kind: PageKind,
    private readonly pages: number,
  ) {
    this.machine = new Machine(scenario, WHAT);
    const first = FIRST_PAGES[kind];
    this.machine.tables.mapIdentity(first, first + PAGES * STRIDES[kind], "4K");
  }

  /** What is counted when each page is stored to. */
  round(): Float64Array {
    const first = FIRST_PAGES[this.kind] * PAGE;
    const stride = STRIDES[this.kind] * PAGE;
    return this.counted(() => {
      for (let index = 0; index < this.pages; index++)
        touch(this.machine, "store", first + index * stride, 2);
    });
  }

  counted(act: () => void): Float64Array {
    const { counts } = this.machine.vm.ledger;
    counts.fill(0);
    act();
    return counts.slice();
  }
}

export interface MeasuredEvent {
  readonly event: SlotEvent;
  readonly costs: readonly PrimitiveCost[];
  /** How often each cost occurs more per page. */
  readonly times: Readonly<Record<PageKind, readonly number[]>>;
}

/** What an update of the slots takes: of userspace, and of the guest by page. */
export function measureEvent(scenario: Scenario, event: SlotEvent["event"]): MeasuredEvent {
  const kernel = scenario.kernel as SlotKernel;
  const costs = primitiveCosts(loadCpu(scenario.cpu), kernel);
  let ioctl: Counts = {};
  /** What a round takes more for the event, over so many pages. */
  const more = (kind: PageKind, pages: number) => {
    const guest = new Guest(scenario, kind, pages);
    const create = () => guest.machine.setMemslot(SLOT, QUEUES * PAGE, false);
    const remove = () => guest.machine.setMemslot(SLOT, 0, false);
    if (event === "create") remove();
    // The second of the rounds finds all as it will stay.
    guest.round();
    guest.round();
    const before = guest.round();
    ioctl = named(
      guest.counted(() => {
        if (event !== "create") remove();
        if (event !== "delete") create();
      }),
    );
    const after = guest.round();
    guest.machine.release();
    return after.map((count, index) => count - before[index]);
  };
  // Without what is there once for all pages, such as a fault on the guest's tables.
  const perPageOf = (kind: PageKind) => {
    const half = more(kind, PAGES / 2);
    return named(more(kind, PAGES).map((count, index) => (count - half[index]) / (PAGES / 2)));
  };
  const counts = { doorbell: perPageOf("doorbell"), device: perPageOf("device"), ram: perPageOf("ram") };
  const timesOf = (kind: PageKind) => occurrences(costs, counts[kind]);
  const perPage = (kind: PageKind) => ({
    exits: (counts[kind].exitEptViolation ?? 0) + (counts[kind].exitEptMisconfig ?? 0),
    userspaceExits: counts[kind].userspaceExitMmio ?? 0,
    cycles: linearBounds(costs, timesOf(kind)),
  });
  return {
    event: {
      kernel,
      event,
      ioctlCounts: ioctl,
      ioctl: priceCounts(costs, ioctl, 1).total,
      perPage: { doorbell: perPage("doorbell"), device: perPage("device"), ram: perPage("ram") },
    },
    costs,
    times: { doorbell: timesOf("doorbell"), device: timesOf("device"), ram: timesOf("ram") },
  };
}

/** By primitive, without the zeros. */
function named(counts: Float64Array): Counts {
  return Object.fromEntries(
    PRIMITIVES.map((name, index) => [name, counts[index]] as const).filter(([, count]) => count !== 0),
  );
}

/**
 * How many updates of a new machine's slots it takes until one drops all tables; null: more than `most`. Each switch of the dirty log
 * is an update, and deletes nothing.
 */
export function updatesToWrap(scenario: Scenario, most: number): number | null {
  const { vm } = new Machine(scenario, WHAT);
  const userspaceAddr = vm.host.mmap(PAGE, "4K", 0);
  const { counts } = vm.ledger;
  const zapAllPages = PRIMITIVES.indexOf("zapAllPages");
  const before = counts[zapAllPages];
  const slot = scenario.memslots.length;
  const guestPhysAddr = FIRST_PAGES.other * PAGE;
  for (let update = 1; update <= most; update++) {
    vm.kvmSetUserMemoryRegion({ slot, flags: update % 2, guestPhysAddr, memorySize: PAGE, userspaceAddr });
    if (counts[zapAllPages] > before) return update;
  }
  return null;
}
