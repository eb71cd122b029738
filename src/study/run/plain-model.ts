/**
 * The plain model of what guest and device should see: where memory lies, and which writes ring. It knows the scenario alone,
 * as the kernel's API document has it (KVM_IOEVENTFD, KVM_SET_USER_MEMORY_REGION with KVM_MEM_READONLY), and nothing of KVM:
 *
 * - in a writable slot reads and writes are the memory's, whatever is registered there;
 * - in a read-only slot reads are the memory's, and writes the device's; without a slot, both are the device's;
 * - a write to the device that an ioeventfd waits for (address, length and value) signals it in place of anything else.
 *
 * The device may be in the kernel or in userspace. An operand is taken page by page, and 8 bytes at a time.
 */
import type { EventFd } from "../../kvm/ioeventfd.js";
import { lowBytes } from "../../kvm/u64.js";
import { PAGE } from "../../x86/mmu.js";
import { doorbellLayout, doorbellSlot, ioeventfdsOf, type Scenario } from "./scenario.js";

/** An ioeventfd of the scenario. */
export interface Doorbell {
  /** "ioeventfds[0]", or "doorbell 0" by its queue. */
  readonly name: string;
  readonly addr: number;
  /** Bytes of the write that rings; 0: any. */
  readonly len: number;
  readonly datamatch: number | undefined;
  readonly eventfd: EventFd;
}

/** What lies at an address. */
export const DEVICE = 0;
export const READ_ONLY = 1;
export const WRITABLE = 2;
export type Ground = typeof DEVICE | typeof READ_ONLY | typeof WRITABLE;

/** The page of the local APIC, which KVM's emulator takes for the device's even where a slot lies. */
const APIC_GFN = 0xfee00;

/** VMX lets the guest write a byte to the port that it waits with, before v6.19. */
const DELAY_PORT = 0x80;

const NOWHERE: readonly Doorbell[] = [];

/** Doorbells by the low 32 bits of their address: a key that V8 finds without a call, where it hashes a larger number. */
class Doorbells {
  private readonly byLow = new Map<number, Doorbell[]>();

  add(doorbell: Doorbell): void {
    this.byLow.set(doorbell.addr | 0, [...this.near(doorbell.addr), doorbell]);
  }

  /** Those whose address ends like this one, in their order. */
  near(addr: number): readonly Doorbell[] {
    return this.byLow.get(addr | 0) ?? NOWHERE;
  }
}

export class PlainModel {
  private readonly memory = new Doorbells();
  private readonly ports = new Doorbells();
  private readonly byEventfd = new Map<EventFd, Doorbell>();
  /** By number of the slot, in the order of guest page frames: first page, the page behind the last, and what it is. */
  private readonly slots: readonly {
    readonly first: number;
    readonly end: number;
    readonly ground: Ground;
  }[];
  private readonly passesDelayPort: boolean;

  /** @param eventfds of the scenario's ioeventfds, then of its doorbells */
  constructor(scenario: Scenario, eventfds: readonly EventFd[]) {
    const { memslots, doorbells, kernel, paging } = scenario;
    const ioeventfds = ioeventfdsOf(scenario);
    const slots = memslots.map(({ gpa, size, readonly }) => slotOf(gpa, size, readonly));
    ioeventfds.forEach(({ addr, len, datamatch, pio, field }, index) => {
      this.add(pio, { name: field, addr, len, datamatch, eventfd: eventfds[index] });
    });
    if (doorbells !== undefined) {
      const { address, queues, len, datamatch, pio, slot } = doorbells;
      const { stride } = doorbellLayout(doorbells);
      for (let queue = 0; queue < queues; queue++) {
        const eventfd = eventfds[ioeventfds.length + queue];
        const addr = address + queue * stride;
        this.add(pio, { name: `doorbell ${queue}`, addr, len, datamatch, eventfd });
      }
      const { first, bytes } = doorbellSlot(doorbells);
      if (slot === "read-only") slots.push(slotOf(first, bytes, true));
    }
    this.slots = slots.sort((one, other) => one.first - other.first);
    this.passesDelayPort = kernel !== "v6.19" && paging !== "npt";
  }

  /** What lies at a guest page. */
  groundOf(gfn: number): Ground {
    const { slots } = this;
    let low = 0;
    let high = slots.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (slots[middle].first <= gfn) low = middle + 1;
      else high = middle;
    }
    return low > 0 && gfn < slots[low - 1].end ? slots[low - 1].ground : DEVICE;
  }

  /** Whether a piece is as well the memory's as the device's. */
  isEither(gfn: number): boolean {
    return gfn === APIC_GFN;
  }

  /** The doorbell that a write to the device rings, of some bytes of a value; null: none. */
  rungBy(isPort: boolean, addr: number, bytes: number, value: number, done: number): Doorbell | null {
    for (const doorbell of (isPort ? this.ports : this.memory).near(addr)) {
      if (doorbell.addr !== addr) continue;
      if (doorbell.len === 0) return doorbell;
      if (doorbell.len !== bytes) continue;
      if (doorbell.datamatch === undefined) return doorbell;
      const written = done === 0 ? value : Math.floor(value / 2 ** (8 * done));
      if (lowBytes(written, bytes) === doorbell.datamatch) return doorbell;
    }
    return null;
  }

  /** Whether any doorbell is at just this address or port. */
  hasDoorbell(isPort: boolean, addr: number): boolean {
    for (const doorbell of (isPort ? this.ports : this.memory).near(addr))
      if (doorbell.addr === addr) return true;
    return false;
  }

  /** The doorbell of an eventfd that was signalled. */
  doorbellOf(eventfd: EventFd): Doorbell | undefined {
    return this.byEventfd.get(eventfd);
  }

  /** Whether an access to ports is left to the machine. */
  isPassed(port: number, bytes: number): boolean {
    return this.passesDelayPort && port === DELAY_PORT && bytes === 1;
  }

  private add(pio: boolean, doorbell: Doorbell): void {
    (pio ? this.ports : this.memory).add(doorbell);
    this.byEventfd.set(doorbell.eventfd, doorbell);
  }
}

function slotOf(gpa: number, size: number, readonly: boolean) {
  const ground: Ground = readonly ? READ_ONLY : WRITABLE;
  return { first: gpa / PAGE, end: (gpa + size) / PAGE, ground };
}
