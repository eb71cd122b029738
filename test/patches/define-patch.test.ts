import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/cost/input.js";
import { KVM_FAST_MMIO_BUS } from "../../src/kvm/io-bus.js";
import { Linux4_2 } from "../../src/kvm/linux-4.2.js";
import { KVM_EXIT_INTERNAL_ERROR } from "../../src/kvm/vcpu.js";
import {
  definePatch,
  PatchError,
  type PatchedKernel,
  type PatchFunctions,
} from "../../src/patches/define-patch.js";
import { handleBadPage } from "../../src/patches/handle-bad-page.js";
import { rfc } from "../../src/patches/rfc.js";
import { run } from "../../src/study/run/run.js";
import type { ScenarioInput } from "../../src/study/run/scenario.js";

/** Ten kicks to a doorbell on a read-only slot; each is a violation. */
const KICKS: ScenarioInput = {
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x400000" }],
  doorbells: { address: "0xfebf0000", slot: "read-only" },
  workload: [{ op: "kick" }],
  accesses: 10,
};

type Series = ScenarioInput["patches"];

const counted = (patches: Series, more: object = {}) => run({ ...KICKS, ...more, patches }).counts;

/** Asks the bus once before all else, and lets the rest go its way: counts that it was asked. */
const asks = definePatch("asks", {
  vmxHandleEptViolation(gpa, qualification) {
    this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa + 1, 0);
    return this.original.vmxHandleEptViolation(gpa, qualification);
  },
});

/** Has all violations skipped. */
const skips = definePatch("skips", {
  vmxHandleEptViolation() {
    return this.kvmSkipEmulatedInstruction();
  },
});

describe("a series of patches", () => {
  it("has the kernel's functions as the originals of the first, and the first's as those of the second", () => {
    expect(counted([asks]).ioBusLookup - counted([]).ioBusLookup).toBe(10);
    expect(counted([asks, { ...asks, name: "asks again" }]).ioBusLookup - counted([]).ioBusLookup).toBe(20);
  });

  it("is applied in its order: the last is asked first", () => {
    expect(counted([skips, asks]).ioBusLookup).toBe(10);
    expect(counted([asks, skips]).ioBusLookup).toBe(0);
  });

  it("has each function see the originals of its own patch, also when another patch calls it", () => {
    const bad = definePatch("bad page", {
      kvmHandleBadPage(gfn, pfn) {
        return this.original.kvmHandleBadPage(gfn, pfn);
      },
    });
    expect(counted([handleBadPage, bad])).toEqual(counted([handleBadPage]));
    expect(counted([bad, handleBadPage])).toEqual(counted([handleBadPage]));
  });

  it("has its originals while the kernel is constructed, too", () => {
    const layout = definePatch("layout", {
      spteLayout() {
        return this.original.spteLayout();
      },
    });
    expect(counted([layout, rfc])).toEqual(counted([rfc]));
    expect(counted([rfc, layout])).toEqual(counted([rfc]));
  });

  it("signals each kick once with the RFC, whatever does nothing beside it", () => {
    const { signals } = run({ ...KICKS, patches: [asks, rfc] });
    expect(signals).toEqual([10]);
  });
});

describe("the class of a patched kernel", () => {
  class Kernel extends Linux4_2 {}

  it("is the same for all machines with one kernel before the patch", () => {
    expect(asks.change(Kernel)).toBe(asks.change(Kernel));
    expect(asks.change(class extends Kernel {})).not.toBe(asks.change(Kernel));
    expect(asks.change(skips.change(Kernel))).toBe(asks.change(skips.change(Kernel)));
  });

  it("is another for each machine where the patch's functions are", () => {
    const counting = definePatch("counting", { from: 1 }, ({ from }) => {
      let count = from;
      return {
        handleEptMisconfig() {
          return count++;
        },
      };
    });
    expect(counting.change(Kernel)).not.toBe(counting.change(Kernel));
  });
});

describe("a patch names itself", () => {
  const failing = (functions: object) => () => counted([definePatch("mine", functions as PatchFunctions)]);

  it("when it throws", () => {
    const error = failing({
      vmxHandleEptViolation() {
        throw new Error("no such gpa");
      },
    });
    expect(error).toThrow(PatchError);
    expect(error).toThrow('patch "mine", vmxHandleEptViolation(): no such gpa');
  });

  it("in one line where Node.js or a notebook shows the error", () => {
    const error = new PatchError('patch "mine", handleExit(): no such gpa', {
      cause: new Error("no such gpa"),
    });
    expect(inspect(error)).toBe('patch "mine", handleExit(): no such gpa');
  });

  it("but not when it is KVM that stops a vCPU under it", () => {
    const watched = failing({
      vmxHandleEptViolation(this: PatchedKernel) {
        this.vcpu.run.exitReason = KVM_EXIT_INTERNAL_ERROR;
        return 0;
      },
      runUserspace(this: PatchedKernel) {
        this.original.runUserspace();
      },
    });
    expect(watched).toThrow(InputError);
    expect(watched).toThrow("KVM stops vCPU 0");
    expect(watched).not.toThrow("runUserspace");
  });

  it("when it returns nonsense, or forgets to return", () => {
    expect(failing({ vmxHandleEptViolation() {} })).toThrow(
      'patch "mine", vmxHandleEptViolation(): returned undefined; allowed: 1 to resume the guest, 0 to exit to userspace, or',
    );
    expect(
      failing({
        kvmHandleBadPage() {
          return 7;
        },
      }),
    ).toThrow(
      'patch "mine", kvmHandleBadPage(): returned 7; allowed: RESUME, EMULATE, EMULATE_WRITE_PROTECTED, or',
    );
  });

  it("when it calls itself in place of the original", () => {
    const patch = definePatch("mine", {
      vmxHandleEptViolation(gpa, qualification) {
        return this.vmxHandleEptViolation(gpa, qualification);
      },
    });
    expect(() => counted([patch])).toThrow(
      'patch "mine", vmxHandleEptViolation(): Maximum call stack size exceeded',
    );
  });
});

describe("what is no patch is refused where it is written", () => {
  const defined = (functions: object) => () => definePatch("mine", functions);
  const method = (kind: string) => `patch "mine": handleExit is no method, but ${kind}`;
  const allowed = "; allowed: a method, handleExit(...) { ... }";

  it("a function that the kernel does not have", () => {
    expect(defined({ handleEptViolatoin() {} })).toThrow(
      'patch "mine": handleEptViolatoin is no function of the kernel (did you mean handleEptViolation?)',
    );
  });

  it.each([
    ["an arrow function, which has no this", { handleExit: () => 1 }, method("() => 1")],
    ["a promise", { async handleExit() {} }, method("async handleExit() {")],
    ["a generator", { *handleExit() {} }, method("*handleExit() {")],
    ["a getter", { get handleExit() { return 1; } }, 'patch "mine": handleExit is no function'], // biome-ignore format: one line
    ["a number", { handleExit: 1 }, 'patch "mine": handleExit is no function'],
    ["a method of another name", { handleExit: { handleIo() {} }.handleIo }, method("handleIo() {")],
  ])("%s", (_, functions, message) => {
    expect(defined(functions)).toThrow(message);
    expect(defined(functions)).toThrow(allowed);
  });

  it.each([
    ["a patch without functions", () => ({}), "changes no function of the kernel; allowed: a method or more"],
    [
      "an async function",
      async () => ({ handleExit: () => 1 }),
      "its methods are [object Promise]; allowed: an",
    ],
    ["a generator", function* () {}, "its methods are [object Generator]; allowed: an object literal"], // biome-ignore format: one line
  ])("%s", (_, make, message) => {
    const made = make as unknown as () => PatchFunctions;
    expect(() => definePatch("mine", {}, made)).toThrow(`patch "mine": ${message}`);
  });

  it("a function that writes to its constants, which stay as they were", () => {
    const constants = { limit: 3 };
    const make = (own: { limit: number }) => {
      own.limit++;
      return {};
    };
    expect(() => definePatch("mine", constants, make)).toThrow(
      "patch \"mine\": TypeError: Cannot assign to read only property 'limit'",
    );
    expect(constants).toEqual({ limit: 3 });
  });

  it("constants that are no numbers, texts or flags", () => {
    for (const limit of [Number.NaN, Number.POSITIVE_INFINITY, 1n, null, undefined, [1]])
      expect(() => definePatch("mine", { limit: limit as number }, () => ({}))).toThrow(
        `patch "mine": constant limit is ${String(limit)}; allowed: a finite number, a text, true or false`,
      );
  });
});

describe("a patch is data", () => {
  it("with its name, its constants and the text of its methods", () => {
    const limited = definePatch(
      { name: "limited", eras: ["v6.19"], paging: "ept" },
      { limit: 3 },
      ({ limit }) => ({
        handleEptMisconfig() {
          return limit;
        },
      }),
    );
    expect(JSON.parse(JSON.stringify(limited))).toEqual({
      name: "limited",
      eras: ["v6.19"],
      paging: "ept",
      constants: { limit: 3 },
      source: expect.stringMatching(
        /^\(\{ limit \}\) => \(\{\s+handleEptMisconfig\(\) \{\s+return limit;\s+\}/,
      ),
    });
    expect(JSON.parse(JSON.stringify(skips))).toEqual({
      name: "skips",
      constants: {},
      source: expect.stringMatching(
        /^\{\nvmxHandleEptViolation\(\) \{\s+return this\.kvmSkipEmulatedInstruction/,
      ),
    });
  });
});
