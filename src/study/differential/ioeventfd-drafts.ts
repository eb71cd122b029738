/** Calls of KVM_IOEVENTFD in random scenarios, some of which KVM refuses. */
import fc from "fast-check";
import {
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_FAST_MMIO,
  KVM_IOEVENTFD_FLAG_PIO,
  KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY,
} from "../../kvm/ioeventfd.js";
import { type Draft, near, oneOf, rarely, whichValue } from "./draft.js";
import { ARENA, type AskIoeventfd, EVENTFDS, hex, PORT } from "./scenario.js";

/** The first two are of no use on x86, the others are no flags. */
const oddFlags = fc.constantFrom(
  ...[KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY, KVM_IOEVENTFD_FLAG_FAST_MMIO, 1 << 5, 2 ** 31],
);

/** The last address there is but three: a range of more bytes wraps around. */
const LAST = 2n ** 64n - 4n;

const anywhere: fc.Arbitrary<Draft> = fc
  .record({
    at: near(0, 0, 0, 0, 0, 0, 4, 2, 1, 8),
    isPort: rarely(5, false, fc.constant(true)),
    len: fc.oneof(
      { weight: 24, arbitrary: fc.constantFrom(0, 1, 2, 4, 4, 8) },
      { weight: 1, arbitrary: fc.constantFrom(3, 16, 2 ** 31) },
    ),
    datamatch: rarely(3, null, whichValue),
    odd: rarely(25, 0, oddFlags),
    fd: rarely(25, null, fc.constantFrom("closed", "no eventfd")),
    eventfd: fc.nat({ max: EVENTFDS - 1 }),
    isLast: rarely(25, false, fc.constant(true)),
  })
  .map(
    ({ at, isPort, len, datamatch, odd, fd, eventfd, isLast }): Draft =>
      ({ places, values }) => {
        const addr = isPort ? PORT + at.distance : oneOf(places, at.place) + at.distance;
        const flags =
          (isPort ? KVM_IOEVENTFD_FLAG_PIO : 0) + (datamatch === null ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH);
        return {
          ...{ does: "ioeventfd", len, flags: flags + odd, fd: fd ?? eventfd },
          addr: hex(isLast ? LAST : addr),
          datamatch: datamatch === null ? 0 : oneOf(values, datamatch),
        };
      },
  );

/**
 * What was asked for before: taken back, once more, or for the addresses behind it, where one instruction can reach both. Once
 * in a while with another length, which nobody asked for.
 */
const again: fc.Arbitrary<Draft> = fc
  .record({
    which: fc.nat(),
    how: fc.constantFrom("deassign", "deassign", "deassign", "behind", "behind", "same"),
    len: rarely(8, null, fc.constantFrom(0, 4)),
  })
  .map(
    ({ which, how, len }): Draft =>
      (_, earlier) => {
        const asked = earlier.filter((step): step is AskIoeventfd => step.does === "ioeventfd");
        const one = asked.length === 0 ? NOTHING : oneOf(asked, which);
        const assign = {
          ...one,
          len: len ?? one.len,
          flags: (one.flags & ~KVM_IOEVENTFD_FLAG_DEASSIGN) >>> 0,
        };
        if (how === "deassign") return { ...assign, flags: assign.flags + KVM_IOEVENTFD_FLAG_DEASSIGN };
        const addr = BigInt(one.addr);
        return how === "behind"
          ? { ...assign, addr: hex(BigInt.asUintN(64, addr + BigInt(one.len))) }
          : assign;
      },
  );

const NOTHING: AskIoeventfd = { does: "ioeventfd", addr: hex(ARENA), len: 4, flags: 0, datamatch: 0, fd: 0 };

export const ioeventfdCall: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 3, arbitrary: anywhere },
  { weight: 1, arbitrary: again },
);
