/** What userspace does with memory slots in random scenarios; KVM refuses some of it. */
import fc from "fast-check";
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from "../../kvm/memslots.js";
import { PAGE } from "../../x86/mmu.js";
import { type Draft, near, oneOf, rarely } from "./draft.js";
import { ARENA, MEMORIES, MEMORY_BYTES, RAM_BYTES, type SetMemory } from "./scenario.js";

const flags = fc.constantFrom(
  ...[0, 0, KVM_MEM_READONLY, KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES],
  KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY,
);

function pageOf(address: number): number {
  return address - (address % PAGE);
}

/** A slot at a place of the scenario's, with a memory of its own but once in a while. */
const slot: fc.Arbitrary<Draft> = fc
  .record({
    slot: fc.nat({ max: MEMORIES - 1 }),
    other: rarely(10, 0, fc.constant(1)),
    at: near(0, 0, 0, PAGE, -PAGE),
    pages: fc.constantFrom(1, 1, 2),
    flags,
  })
  .map(
    ({ slot, other, at, pages, flags }): Draft =>
      ({ places }) => ({
        ...{ does: "set-memory", slot: 1 + slot, flags, gpa: pageOf(oneOf(places, at.place)) + at.distance },
        ...{ size: pages * PAGE, memory: (slot + other) % MEMORIES, offset: 0 },
      }),
  );

/** A slot that was asked for before: deleted, moved, as it was, or with its log switched. */
const change: fc.Arbitrary<Draft> = fc
  .record({
    which: fc.nat(),
    place: fc.nat(),
    how: fc.constantFrom("delete", "delete", "move", "log", "same"),
  })
  .map(
    ({ which, place, how }): Draft =>
      ({ places }, earlier) => {
        const asked = earlier.filter(
          (step): step is SetMemory => step.does === "set-memory" && step.size > 0,
        );
        const one = asked.length === 0 ? GOOD : oneOf(asked, which);
        switch (how) {
          case "delete":
            return { ...one, size: 0 };
          case "move":
            return { ...one, gpa: pageOf(oneOf(places, place)) };
          case "log":
            return { ...one, flags: (one.flags ^ KVM_MEM_LOG_DIRTY_PAGES) >>> 0 };
          default:
            return one;
        }
      },
  );

const GOOD: SetMemory = {
  ...{ does: "set-memory", slot: 1, flags: 0, gpa: ARENA + PAGE },
  ...{ size: MEMORY_BYTES, memory: 0, offset: 0 },
};

/** Wrong in one field, or over the slot with the guest's code. */
const wrong: fc.Arbitrary<Draft> = fc
  .constantFrom(
    ...[{ flags: 4 }, { flags: 2 ** 31 }, { gpa: ARENA + 0x800 }, { size: PAGE + 8 }, { offset: 0x800 }],
    ...[{ gpa: RAM_BYTES - PAGE }, { gpa: 2 ** 52 }, { size: 2 ** 44 }, { slot: 32764 }, { slot: 0xffff }],
  )
  .map(
    (field): Draft =>
      () => ({ ...GOOD, ...field }),
  );

/** Of a slot that was asked to be logged, or of any. */
const dirtyLog: fc.Arbitrary<Draft> = fc.nat({ max: 2 * MEMORIES }).map(
  (which): Draft =>
    (_, earlier) => {
      const logged = earlier.flatMap((step) =>
        step.does === "set-memory" && (step.flags & KVM_MEM_LOG_DIRTY_PAGES) !== 0 ? [step.slot] : [],
      );
      return { does: "get-dirty-log", slot: oneOf(logged.length === 0 ? [1] : logged, which) };
    },
);

const discard: fc.Arbitrary<Draft> = fc.nat({ max: MEMORIES - 1 }).map(
  (memory): Draft =>
    () => ({ does: "discard", memory }),
);

export const memoryCall: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 4, arbitrary: slot },
  { weight: 3, arbitrary: change },
  { weight: 1, arbitrary: wrong },
  { weight: 2, arbitrary: dirtyLog },
  { weight: 1, arbitrary: discard },
);
