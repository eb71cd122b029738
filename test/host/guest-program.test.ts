import { describe, expect, it } from "vitest";
import { drawAccesses, type GuestAccess, GuestProgram } from "../../src/host/guest-program.js";
import { Workload } from "../../src/workload/workload.js";
import { PAGE } from "../../src/x86/mmu.js";
import { access } from "../workload/access.js";

const RESULTS = 0x20_0000;
const KICK: GuestAccess = { op: "store", address: 0xfebf_0000, size: 1, value: 0xfa };

const bytes = (...code: readonly string[]) =>
  code.flatMap((line) => line.split(" ").map((byte) => parseInt(byte, 16)));

/** The clock, in RAX. */
const CLOCK = [
  "0f ae e8", // lfence
  "0f 31", //    rdtsc
  "0f ae e8", // lfence
  "48 c1 e2 20", // shl $32,%rdx
  "48 09 d0", // or %rdx,%rax
];

function code(write: (program: GuestProgram) => void): number[] {
  const program = new GuestProgram(RESULTS);
  write(program);
  return [...program.bytes];
}

describe("an access of a guest program", () => {
  it("has its operands in registers, and stores RAX behind it", () => {
    expect(code((program) => program.access(KICK))).toEqual(
      bytes(
        "bf 00 00 bf fe", // mov $0xfebf0000,%edi
        "b8 fa 00 00 00", // mov $0xfa,%eax
        "88 07", //          mov %al,(%rdi)
        "be 00 00 20 00", // mov $0x200000,%esi
        "48 89 06", //       mov %rax,(%rsi)
      ),
    );
  });

  it("of a port has that in RDX", () => {
    expect(code((program) => program.access({ op: "in", address: 0xc000, size: 2, value: 1 }))).toEqual(
      bytes("ba 00 c0 00 00", "b8 01 00 00 00", "66 ed", "be 00 00 20 00", "48 89 06"),
    );
  });

  it("that is repeated has its count in RCX", () => {
    const fill: GuestAccess = { op: "rep-stos", address: 0x1000, size: 8, value: 0, count: 16 };
    expect(code((program) => program.access(fill))).toEqual(
      bytes("bf 00 10 00 00", "b9 10 00 00 00", "b8 00 00 00 00", "f3 48 ab", "be 00 00 20 00", "48 89 06"),
    );
  });

  it("of 16 bytes has its value in XMM0, which it stores too", () => {
    const value = 0x5n + (0x7n << 64n);
    expect(
      code((program) => program.access({ op: "movups-store", address: 0x1000, size: 16, value })),
    ).toEqual(
      bytes(
        "bf 00 10 00 00",
        "b8 05 00 00 00", // mov $5,%eax
        "66 48 0f 6e c0", // movq %rax,%xmm0
        "b8 07 00 00 00", // mov $7,%eax
        "66 48 0f 6e c8", // movq %rax,%xmm1
        "66 0f 6c c1", //    punpcklqdq %xmm1,%xmm0
        "0f 11 07", //       movups %xmm0,(%rdi)
        "be 00 00 20 00",
        "0f 11 06", //       movups %xmm0,(%rsi)
      ),
    );
  });

  it("has its result behind those before, 16 bytes each", () => {
    const program = new GuestProgram(RESULTS);
    expect([program.access(KICK), program.access(KICK)]).toEqual([0, 16]);
    expect(program.resultBytes).toBe(32);
  });

  it("is refused where there is no such instruction, and for a value that no register holds", () => {
    const program = new GuestProgram(RESULTS);
    expect(() => program.access({ ...KICK, size: 3 })).toThrow("size: store of 3 bytes does not exist");
    expect(() => program.access({ ...KICK, value: 2n ** 64n })).toThrow("value of a register");
    expect(() => program.access({ op: "movups-store", address: 0, size: 16, value: 2n ** 128n })).toThrow(
      "value of a register",
    );
  });
});

describe("an OUT to userspace", () => {
  it("writes a zero byte to the port, and has no result", () => {
    const program = new GuestProgram(RESULTS);
    program.out(0xf4);
    expect([...program.bytes]).toEqual(bytes("ba f4 00 00 00", "b8 00 00 00 00", "ee"));
    expect(program.resultBytes).toBe(0);
  });
});

describe("a timed loop", () => {
  it("reads the clock before and behind the rounds of a batch, and stores the difference", () => {
    expect(code((program) => program.timedLoop({ batches: 300, rounds: 100, body: [KICK] }))).toEqual(
      bytes(
        "41 b8 2c 01 00 00", // mov $300,%r8d
        "41 b9 00 00 20 00", // mov $0x200000,%r9d
        "41 bc 00 00 00 00", // mov $0,%r12d
        "41 ba 64 00 00 00", // batch: mov $100,%r10d
        ...CLOCK,
        "49 89 c3", //          mov %rax,%r11
        "bf 00 00 bf fe", //    round: mov $0xfebf0000,%edi
        "b8 fa 00 00 00", //    mov $0xfa,%eax
        "88 07", //             mov %al,(%rdi)
        "49 ff c4", //          inc %r12
        "49 ff ca", //          dec %r10
        "0f 85 e8 ff ff ff", // jnz round: 24 bytes back
        ...CLOCK,
        "4c 29 d8", //          sub %r11,%rax
        "49 89 01", //          mov %rax,(%r9)
        "49 83 c1 08", //       add $8,%r9
        "49 ff c8", //          dec %r8
        "0f 85 ae ff ff ff", // jnz batch: 82 bytes back
      ),
    );
  });

  it("raises an address by the step in each round, on and on through the batches", () => {
    const body = [{ ...KICK, step: PAGE }];
    const text = Buffer.from(code((program) => program.timedLoop({ batches: 2, rounds: 2, body }))).toString(
      "hex",
    );
    // mov $0xfebf0000,%edi; imul $4096,%r12,%rsi; add %rsi,%rdi; mov $0xfa,%eax
    expect(text).toContain(["bf0000bffe", "4969f400100000", "4801f7", "b8fa000000"].join(""));
    // The rounds are counted from 0 once, before the first batch: mov $0,%r12d; mov $2,%r10d
    expect(text.split("41bc00000000")).toHaveLength(2);
    expect(text).toContain("41bc0000000041ba02000000");
  });

  it("has a result of 8 bytes for each batch, behind what came before", () => {
    const program = new GuestProgram(RESULTS);
    program.access(KICK);
    expect(program.timedLoop({ batches: 10, rounds: 1, body: [KICK] })).toBe(16);
    expect(program.resultBytes).toBe(16 + 10 * 8);
  });

  it("without a round, or with a step that the instruction cannot hold, is refused", () => {
    const program = new GuestProgram(RESULTS);
    expect(() => program.timedLoop({ batches: 1, rounds: 0, body: [] })).toThrow(
      "at least one batch and one round",
    );
    expect(() => program.timedLoop({ batches: 1, rounds: 1, body: [{ ...KICK, step: 2 ** 31 }] })).toThrow(
      "a step of 2147483648 bytes is not a whole number of 32 bits",
    );
  });
});

describe("accesses drawn from a workload", () => {
  it("are its instructions, each with its own address", () => {
    const walk = access({ address: 0x40_0000, footprint: 3 * PAGE, stride: PAGE });
    const drawn = drawAccesses(new Workload([walk], 1, 0), 4);
    expect(drawn.map(({ address }) => address)).toEqual([0x40_0000, 0x40_1000, 0x40_2000, 0x40_0000]);
    expect(drawn[0]).toEqual({ op: "load", address: 0x40_0000, size: 4, value: 0, count: 1 });
  });

  it("mix them by their weights, kicks, reads and ports", () => {
    const mix = [
      access({ weight: 6, address: 0x40_0000, footprint: 2 ** 20, stride: PAGE, pattern: "uniform" }),
      access({ weight: 3, op: "store", address: 0xfebf_0000, size: 1, value: 0xfa, footprint: 1, stride: 1 }),
      access({ weight: 1, op: "out", address: 0xc000, size: 1, value: 0xfa, footprint: 1, stride: 1 }),
    ];
    const drawn = drawAccesses(new Workload(mix, 1, 0), 1000);
    const share = (of: string) => drawn.filter(({ op }) => op === of).length / 1000;
    expect(share("load")).toBeCloseTo(0.6, 1);
    expect(share("store")).toBeCloseTo(0.3, 1);
    expect(share("out")).toBeCloseTo(0.1, 1);
    expect(drawn.find(({ op }) => op === "out")).toEqual({
      op: "out",
      address: 0xc000,
      size: 1,
      value: 0xfa,
      count: 1,
    });
  });

  it("are refused where the page would have to be taken away", () => {
    expect(() => drawAccesses(new Workload([access({ fresh: true })], 1, 0), 1)).toThrow(
      "fresh: load asks for a fresh page; allowed: false in a guest program",
    );
  });
});
