/** Guest instructions of random scenarios. */
import fc from "fast-check";
import { KVM_IOEVENTFD_FLAG_DEASSIGN, KVM_IOEVENTFD_FLAG_PIO } from "../../kvm/ioeventfd.js";
import { PAGE } from "../../x86/mmu.js";
import { type Draft, near, oneOf, rarely, whichValue } from "./draft.js";
import { isReadModifyWrite } from "./operand.js";
import {
  ARENA,
  ARENA_PAGES,
  type AskIoeventfd,
  GUEST_OPS,
  type GuestOp,
  type GuestStep,
  isPortOp,
  PORT,
  type Step,
} from "./scenario.js";

const ALL = [1, 2, 4, 8];
const SIZES: Readonly<Partial<Record<GuestOp, readonly number[]>>> = {
  movnti: [4, 8],
  "movups-store": [16],
  "movups-load": [16],
  in: [1, 2, 4],
  out: [1, 2, 4],
};

/** With room for an operand. */
const LAST_PORT = 0xfff0;

/** Iterations of a repeated instruction. */
const count = fc.nat({ max: 4 });

const anywhere: fc.Arbitrary<Draft> = fc
  .record({
    op: fc.constantFrom(...GUEST_OPS),
    size: fc.nat({ max: ALL.length - 1 }),
    at: near(0, 0, 0, 0, 0, 1, 2, 4, 8, -1, -2, -4, -8),
    value: whichValue,
    count,
  })
  .map(
    ({ op, size, at, value, count }): Draft =>
      ({ places, values }) => {
        const bytes = oneOf(SIZES[op] ?? ALL, size);
        const address = isPortOp(op) ? PORT + Math.abs(at.distance) : oneOf(places, at.place) + at.distance;
        return inOnePage({ does: "access", op, address, size: bytes, value: oneOf(values, value), count });
      },
  );

const WRITES = ["store", "store", "movnti", "stos", "rep-stos", "or", "add", "movups-store"] as const;

/** At an address that an ioeventfd was asked for, mostly with its length and datamatch, mostly a write. */
const atIoeventfd: fc.Arbitrary<Draft> = fc
  .record({
    which: fc.nat(),
    write: fc.constantFrom(...WRITES),
    reads: rarely(6, false, fc.constant(true)),
    size: rarely(4, null, fc.nat({ max: ALL.length - 1 })),
    value: rarely(4, null, whichValue),
    count,
  })
  .map(
    ({ which, write, reads, size, value, count }): Draft =>
      ({ places, values }, earlier) => {
        const asked = earlier.filter(isAssignment);
        if (asked.length === 0)
          return { does: "access", op: "store", address: places[0], size: 4, value: 0, count };
        const { addr, len, flags, datamatch } = oneOf(asked, which);
        const isPort = (flags & KVM_IOEVENTFD_FLAG_PIO) !== 0;
        const op = isPort ? (reads ? "in" : "out") : reads ? "load" : write;
        const sizes: readonly number[] = SIZES[op] ?? ALL;
        const bytes = size === null && sizes.includes(len) ? len : oneOf(sizes, size ?? 0);
        return inOnePage({
          ...{ does: "access", op, address: Number(addr), size: bytes, count },
          value: value === null ? datamatch : oneOf(values, value),
        });
      },
  );

/** Of an address that the guest has a page for, or a port that there is. */
function isAssignment(step: Step): step is AskIoeventfd {
  if (step.does !== "ioeventfd" || (step.flags & KVM_IOEVENTFD_FLAG_DEASSIGN) !== 0) return false;
  const addr = Number(step.addr);
  if ((step.flags & KVM_IOEVENTFD_FLAG_PIO) !== 0) return addr < LAST_PORT;
  return addr >= ARENA && addr < ARENA + (ARENA_PAGES - 1) * PAGE;
}

/** A read-modify-write of 8 bytes may make what a number cannot hold, which pieces of it must not be cut from. */
function inOnePage(step: GuestStep): GuestStep {
  const { size, address } = step;
  if (size < 8 || !isReadModifyWrite(step)) return step;
  return { ...step, address: address - (address % 8) };
}

export const guestInstruction: fc.Arbitrary<Draft> = fc.oneof(anywhere, atIoeventfd);
