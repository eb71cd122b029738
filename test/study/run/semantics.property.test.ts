/**
 * Any machine that no patch changes does what the plain model says, with one exception: a zero-length ioeventfd where no slot
 * is, on a processor whose misconfiguration does not tell what the access was.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INSTRUCTION_FORMS, type InstructionName } from "../../../src/kvm/instruction.js";
import { run } from "../../../src/study/run/run.js";
import type { ScenarioInput } from "../../../src/study/run/scenario.js";
import { PAGE } from "../../../src/x86/mmu.js";

const RAM = 0x40_0000;
/** Four pages that may each be a slot or none. */
const PLACE = 0x1000_0000;
const PAGES = 4;
const PORT = 0x7e;

const GROUNDS = ["none", "read-only", "writable"] as const;

const machine = fc.record({
  kernel: fc.constantFrom("v3.9", "v4.2", "v4.2.8", "v6.19"),
  paging: fc.constantFrom("ept", "npt", "shadow"),
  irqchip: fc.boolean(),
  vcpus: fc.constantFrom(1, 2),
  seed: fc.nat(1000),
});
const ground = fc.constantFrom("none", ...GROUNDS);
const grounds = fc.array(ground, { minLength: PAGES, maxLength: PAGES });

/** An offset in the pages, most often one where doorbells are. */
const offset = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0, PAGE - 8, PAGE, PAGE + 4, 2 * PAGE) },
  { weight: 1, arbitrary: fc.nat(PAGES * PAGE - 64) },
);
const port = fc.integer({ min: PORT, max: PORT + 8 });
const length = fc.constantFrom(0, 0, 0, 0, 1, 2, 4, 8);
const value = fc.constantFrom(0, 1, 0x1_0000_0001);

const ioeventfds = fc.uniqueArray(
  fc.oneof(
    fc.record({ pio: fc.constant(false), at: offset, len: length, datamatch: fc.option(fc.nat(1)) }),
    fc.record({
      pio: fc.constant(true),
      at: port,
      len: fc.constantFrom(0, 1, 2),
      datamatch: fc.option(fc.nat(1)),
    }),
  ),
  { selector: ({ pio, at }) => `${pio} ${at}`, minLength: 3, maxLength: 8 },
);

const MEMORY_OPS = (Object.keys(INSTRUCTION_FORMS) as InstructionName[]).filter((op) => {
  const { operation } = INSTRUCTION_FORMS[op];
  return operation === "memory" || operation === "event" || operation === "fetch";
});
const access = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constantFrom(...MEMORY_OPS),
      at: offset,
      size: fc.constantFrom(1, 2, 4, 8),
      value,
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constantFrom("in", "out", "ins", "outs"),
      at: port,
      size: fc.constantFrom(1, 2, 4),
      value,
      count: fc.constant(1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constantFrom("vmcall", "cpuid", "rdmsr", "wrmsr", "mov-cr3"),
      at: fc.constant(0),
      size: fc.constant(1),
      value: fc.constant(0),
      count: fc.constant(1),
    }),
  },
);
type Drawn = { op: string; at: number; size: number; value: number; count: number };

function accessOf({ op, at, size, value, count }: Drawn): NonNullable<ScenarioInput["workload"]>[number] {
  const name = op as InstructionName;
  const { operation, repeated } = INSTRUCTION_FORMS[name];
  const isMemory = MEMORY_OPS.includes(name);
  const isPort = operation === "in" || operation === "out";
  const bytes = op.startsWith("movups") ? 16 : size;
  return {
    op: name,
    ...((isMemory || isPort) && { address: isMemory ? PLACE + at : at, value: value % 2 ** (8 * bytes) }),
    size: bytes as 1,
    ...(repeated && { count }),
  };
}

const scenario = fc
  .record({ machine, grounds, ioeventfds, accesses: fc.array(access, { minLength: 1, maxLength: 6 }) })
  .map(({ machine, grounds, ioeventfds, accesses }): ScenarioInput => {
    const groundAt = (at: number) => grounds[Math.floor(at / PAGE)];
    return {
      ...machine,
      cpu: machine.paging === "npt" ? "zen-2-epyc-7742" : "ivy-bridge-i7-3770k",
      memslots: [
        ...grounds.flatMap((ground, page) =>
          ground === "none"
            ? []
            : [{ gpa: PLACE + page * PAGE, size: PAGE, readonly: ground === "read-only" }],
        ),
        { gpa: 0, size: RAM },
      ],
      ioeventfds: ioeventfds.flatMap(({ pio, at, len, datamatch }) => {
        // v3.9 has no length 0, and ports have it from v6.19 on.
        if (len === 0 && (machine.kernel === "v3.9" || (pio && machine.kernel !== "v6.19"))) return [];
        const value = len === 0 || datamatch === null ? {} : { datamatch };
        return [{ addr: pio ? at : PLACE + at, len: len as 0, pio, ...value }];
      }),
      inKernelPorts: [{ port: PORT + 4, len: 2 }],
      workload: accesses
        .filter(({ op, at, size }) => {
          // No instruction can be fetched, and no event be delivered, where it cannot be executed or written.
          if (op === "fetch") return groundAt(at) !== "none";
          if (op === "event") return groundAt(at) === "writable" && groundAt(at + size - 1) === "writable";
          return true;
        })
        .map(accessOf)
        .concat([{ op: "load", address: 0, size: 1 }]),
      accesses: 40,
      warmup: 0,
    };
  });

/** Guests whose instructions a skip ends as the processor would have: one write, in one page. */
const writesOnly = scenario.map((input): ScenarioInput => {
  const workload = input.workload?.filter(({ op, address, size }) => {
    const isWrite = op === "store" || op === "movnti" || op === "stos" || op === "out" || op === "outs";
    return isWrite && (Number(address) % PAGE) + (size ?? 1) <= PAGE;
  });
  return { ...input, workload: [...(workload ?? []), { op: "load", address: 0, size: 1 }] };
});

describe("a machine without patches", () => {
  it("has no incidents but those that a zero-length ioeventfd on a misconfiguration explains", () => {
    let withIncidents = 0;
    fc.assert(
      fc.property(scenario, (input) => {
        const incidents = Object.values(run(input).semantics?.incidents ?? {});
        if (incidents.length > 0) withIncidents++;
        for (const { first } of incidents) {
          const index = Number(/a signal of ioeventfds\[(\d+)\]/.exec(first.happened)?.[1] ?? -1);
          expect([input.paging, input.ioeventfds?.[index]?.len, first]).toEqual(["ept", 0, first]);
        }
      }),
      { numRuns: 200, seed: 1 },
    );
    // Else the exception is not among what was drawn.
    expect(withIncidents).toBeGreaterThan(0);
  });

  it("has none at all where the guest only writes, and no write crosses into the next page", () => {
    fc.assert(
      fc.property(writesOnly, (input) => {
        const { semantics, signals } = run(input);
        expect(semantics?.incidents).toEqual({});
        const all = signals.reduce((sum, some) => sum + some, 0);
        expect((semantics?.kicks ?? 0) - (semantics?.kicksByUserspace ?? 0)).toBeGreaterThanOrEqual(all);
      }),
      { numRuns: 100, seed: 1 },
    );
  });
});
