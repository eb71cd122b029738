import { describe, expect, it } from "vitest";
import { KVM_FAST_MMIO_BUS } from "../../../src/kvm/io-bus.js";
import * as kvm from "../../../src/kvm/mmu.js";
import { definePatch, type PatchSource } from "../../../src/patches/define-patch.js";
import { PATCHES } from "../../../src/patches/index.js";
import { rfc } from "../../../src/patches/rfc.js";
import { parsePatch, seriesText } from "../../../src/study/run/patch-source.js";
import { run } from "../../../src/study/run/run.js";
import { parseScenario, type ScenarioInput, scenarioInput } from "../../../src/study/run/scenario.js";

/** A doorbell on a read-only slot. */
const KICKS: ScenarioInput = {
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x400000" }],
  doorbells: { address: "0xfebf0000", slot: "read-only" },
  workload: [{ op: "kick" }],
  accesses: 20,
};

/** The RFC, as somebody writes it anew. */
const again = definePatch("again", {
  vmxHandleEptViolation(gpa, qualification) {
    if (this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) === 0) return this.kvmSkipEmulatedInstruction();
    return this.original.vmxHandleEptViolation(gpa, qualification);
  },
});

const written = (source: string, constants: PatchSource["constants"] = {}): PatchSource => ({
  name: "mine",
  constants,
  source,
});

const parsed = (patch: unknown) => () => parsePatch(patch, "scenario: patches[0]");

describe("a patch in a scenario", () => {
  it("is its name when it is one of the package, also as an object", () => {
    expect(parsePatch("rfc", "x")).toBe("rfc");
    expect(parsePatch(rfc, "x")).toBe("rfc");
    expect(Object.values(PATCHES).map((patch) => parsePatch(patch, "x"))).toEqual(Object.keys(PATCHES));
  });

  it("is its source when it is any other, with names as they were written", () => {
    expect(parseScenario({ ...KICKS, patches: [again] }).patches).toEqual([
      {
        name: "again",
        constants: {},
        source: expect.stringMatching(/kvmIoBusWrite\((\(0,)?KVM_FAST_MMIO_BUS/),
      },
    ]);
  });

  it("counts what the same patch counts in a file of the package", () => {
    expect(run({ ...KICKS, patches: [again] }).counts).toEqual(run({ ...KICKS, patches: [rfc] }).counts);
    expect(run({ ...KICKS, patches: [again] }).counts).not.toEqual(run(KICKS).counts);
  });

  it("is the same after a way through JSON", () => {
    const scenario = parseScenario({ ...KICKS, patches: ["rfc", again] });
    expect(parseScenario(JSON.parse(JSON.stringify(scenarioInput(scenario))))).toEqual(scenario);
  });

  it("applies to the kernels and the paging that it says", () => {
    const on = (more: object) => () => parseScenario({ ...KICKS, ...more });
    expect(on({ patches: ["rfc"], kernel: "v3.9" })).toThrow(
      'scenario: patches[0]: "rfc" does not apply to kernel v3.9; allowed: v4.2, v4.2.8, v6.19',
    );
    expect(on({ patches: ["rfc"], paging: "npt" })).toThrow(
      'scenario: patches[0]: "rfc" does not apply to paging npt; allowed: ept',
    );
    expect(on({ patches: [{ ...again, eras: ["v6.19"] }] })).toThrow(
      'scenario: patches[0]: "again" does not apply to kernel v4.2; allowed: v6.19',
    );
  });

  it("has its constants as data, and runs with others when they are changed", () => {
    const some = definePatch("some", { asks: true }, ({ asks }) => ({
      vmxHandleEptViolation(gpa, qualification) {
        if (asks && this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) === 0)
          return this.kvmSkipEmulatedInstruction();
        return this.original.vmxHandleEptViolation(gpa, qualification);
      },
    }));
    const without = { ...some, constants: { asks: false } };
    expect(run({ ...KICKS, patches: [some] }).counts).toEqual(run({ ...KICKS, patches: [rfc] }).counts);
    expect(run({ ...KICKS, patches: [without] }).counts).toEqual(run(KICKS).counts);
  });

  it("keeps nothing from one machine to the next", () => {
    const once = definePatch("once", {}, () => {
      let asked = 0;
      return {
        vmxHandleEptViolation(gpa, qualification) {
          if (asked++ === 10) return this.kvmSkipEmulatedInstruction();
          return this.original.vmxHandleEptViolation(gpa, qualification);
        },
      };
    });
    const scenario = parseScenario({ ...KICKS, warmup: 0, patches: [once] });
    expect(run(scenario)).toEqual(run(scenario));
    expect(run(scenario).counts).not.toEqual(run({ ...KICKS, warmup: 0 }).counts);
  });

  it("is called by its name alone", () => {
    expect(seriesText([])).toBe("none");
    expect(seriesText(["rfc", again])).toBe("rfc+again");
  });
});

describe("a name that is not a patch's own", () => {
  const limit = 3;

  it("is refused as it was written, with the method, the line and the way out", () => {
    const outer = definePatch("outer", {
      handleEptMisconfig() {
        const tries = 1;
        return tries < limit ? 1 : this.original.handleEptMisconfig();
      },
    });
    expect(parsed(outer)).toThrow(
      'scenario: patches[0]: "outer" reads limit in line 3 of handleEptMisconfig(), which is outside of the patch; ' +
        "allowed: exitlab's constants, and what it is given: " +
        'definePatch("outer", { limit }, ({ limit }) => ({ ... }))',
    );
  });

  it.each([
    ["exports.limit", "limit"],
    ["library_1.limit", "library_1"],
    ["library_1.PAGE", "library_1"],
    ["exports.Map", "Map"],
    ["exports.library.limit", "library"],
    ["__vi_import_7__.limit", "limit"],
    ["(0, exitlab_1.run)(this)", "run"],
    ["limits.most", "limits"],
    ["run({ limit })", "run"],
  ])("is found in what tools make of it: %s", (expression, name) => {
    expect(parsed(written(`{ handleExit() { return ${expression}; } }`))).toThrow(
      `"mine" reads ${name} in line 1 of handleExit()`,
    );
  });

  it("is found in the function that makes the methods, too", () => {
    const source = "({ limit }) => { const most = limit + extra; return { handleExit() { return most; } }; }";
    expect(parsed(written(source, { limit }))).toThrow('"mine" reads extra, which is outside');
    const inside = "({ limit }) => {\n return {\n handleExit() {\n return limit + extra;\n }\n };\n}";
    expect(parsed(written(inside, { limit }))).toThrow('"mine" reads extra in line 2 of handleExit()');
  });

  it.each(["Date.now()", "performance.now()", "process.exit()", "eval('1')", "fetch('x')", "console.log(1)"])(
    "is not to be passed where it reaches out of the simulation: %s",
    (expression) => {
      const name = expression.split(/\W/, 1)[0];
      expect(parsed(written(`{ handleExit() { return ${expression}; } }`))).toThrow(
        `"mine" reads ${name} in line 1 of handleExit(), which is outside of the patch; allowed: what is the same in every run`,
      );
    },
  );

  it("may be one of the kernel's constants, however it was imported", () => {
    const patch = definePatch("constants", {
      kvmHandleBadPage(gfn, pfn) {
        if (pfn === kvm.KVM_PFN_NOSLOT) return kvm.RESUME;
        return this.original.kvmHandleBadPage(gfn, pfn);
      },
    });
    expect(parsePatch(patch, "x")).toMatchObject({
      source: expect.stringMatching(/pfn === KVM_PFN_NOSLOT\) return RESUME;/),
    });
    const source =
      "{ handleExit() { return exports.exitlab.PAGE + exitlab.PAGE + exitlab_1.PAGE + exports.PAGE; } }";
    expect(parsePatch(written(source), "x")).toMatchObject({
      source: "{ handleExit() { return exitlab.PAGE + exitlab.PAGE + PAGE + PAGE; } }",
    });
  });

  it.each(["exitlab.RESUME", "__vi_import_3__.RESUME", "exports.exitlab.RESUME"])(
    "may be that of a variable of the patch, as in const RESUME = %s + 7",
    (constant) => {
      const source = `{ vmxHandleEptViolation() { const RESUME = ${constant} + 7; return RESUME; } }`;
      const patch = parsePatch(written(source), "x");
      expect(patch).toMatchObject({ source: expect.stringContaining("const RESUME = exitlab.RESUME + 7;") });
      expect(parsePatch(patch, "x")).toEqual(patch);
      expect(() => run({ ...KICKS, patches: [patch as PatchSource] })).toThrow(
        "returned 7; allowed: 1 to resume",
      );
    },
  );

  it.each([
    ["Array.prototype.at = null", "Array"],
    ["delete JSON.parse", "JSON"],
    ["Map.size++", "Map"],
    ["Object.assign(Number, {})", "Number"],
    ["Object.defineProperty(exports.exitlab.ERRNO, 'EINVAL', {})", "ERRNO"],
    ["PAGE = 1", "PAGE"],
  ])("is not for a patch to change: %s", (statement, name) => {
    expect(parsed(written(`{ handleExit() {\n ${statement}; return 1; } }`))).toThrow(
      `"mine" changes ${name} in line 2 of handleExit(), which others use, too; allowed: changes to what is its own`,
    );
    expect(parsed(written("{ handleExit() { const own = {}; own.at = 1; return own.at; } }"))).not.toThrow();
  });

  it("may be what gives the same in every run, and chance does not", () => {
    const source = "{ handleExit() { return Math.floor(Number.isInteger(1) ? 1.5 : NaN); } }";
    expect(parsePatch(written(source), "x")).toMatchObject({ source });
    expect(() => run({ ...KICKS, patches: [written("{ handleExit() { return Math.random(); } }")] })).toThrow(
      'patch "mine", handleExit(): Math.random() is not the same in every run',
    );
  });
});

describe("the source of a patch", () => {
  it.each([
    ["{ handleExit() { return 1 }", "cannot be read: Unexpected token"],
    ["{}), process.exit(), ({}", "cannot be read: neither an object literal nor a function"],
    ["{}); process.exit(); ({}", "cannot be read: neither an object literal nor a function"],
    ["{ handleExit() { return import('node:fs'); } }", "cannot be read: import at 24"],
    ["7", "cannot be read: neither an object literal nor a function"],
    [
      "{ handleExit: () => 1 }",
      '"mine" has handleExit: () => 1, which is no method; allowed: a method, handleExit(...) { ... }',
    ],
    ["{ async handleExit() {} }", "has async handleExit() {}, which is no method"],
    ["{ *handleExit() {} }", "has *handleExit() {}, which is no method"],
    ["{ get handleExit() { return 1; } }", "has get handleExit() { return 1; }, which is no method"],
    ["{ ['handleExit']() {} }", "has ['handleExit']() {}, which is no method"],
    ["{ ...{} }", "has ...{}, which is no method"],
    [
      "{ handleEptViolatoin() { return 1; } }",
      '"mine" changes handleEptViolatoin, which is no function of the kernel (did you mean handleEptViolation?)',
    ],
    ["{}", '"mine" changes no function of the kernel; allowed: a method or more'],
    ["() => ({})", '"mine" changes no function of the kernel; allowed: a method or more'],
    ["async () => ({ handleExit() {} })", "is made by an async function"],
    ["function* () { return { handleExit() {} }; }", "is made by a generator"],
    ["(one, other) => ({ handleExit() {} })", "is made of 2 arguments"],
    ["() => 7", "is made by a function that does not end in an object literal"],
    ["() => { const made = { handleExit() {} }; return made; }", "does not end in an object literal"],
  ])("is not %s", (source, refusal) => {
    expect(parsed(written(source))).toThrow(refusal);
  });

  it("has the fields that definePatch() gives it, and a name that fits beside figures", () => {
    const source = "{ handleExit() { return 1; } }";
    expect(parsed({ name: "mine" })).toThrow("scenario: patches[0]: source: is missing");
    expect(parsed({ name: "mine", sorce: source })).toThrow("(did you mean source?)");
    expect(parsed({ name: "mine", source, constants: { limit: null } })).toThrow(
      "constants.limit: null is not",
    );
    for (const name of ["", "a+b", "none", "a\nb", " a", "x".repeat(41)])
      expect(parsed({ name, source })).toThrow("scenario: patches[0]: name: ");
    expect(parsed({ name: "rfc", source })).toThrow(
      "name: rfc is a patch of this package, and this one differs from it; allowed: another name",
    );
    for (const other of [{ eras: ["v6.19"] }, { paging: undefined }, { constants: { pages: 1 } }])
      expect(parsed({ ...rfc, ...other })).toThrow(
        "name: rfc is a patch of this package, and this one differs",
      );
    expect(parsed("rcf")).toThrow(
      'scenario: patches[0]: "rcf" is not allowed (did you mean rfc?); allowed: one of rfc',
    );
    expect(parsed(7)).toThrow("scenario: patches[0]: 7 is not allowed; allowed: one of");
  });

  it("runs where a machine is made, and not where a scenario is read", () => {
    const source =
      "() => {\n  const { constructor } = () => {};\n  constructor('globalThis.wasRun = true')();\n" +
      "  return { handleExit() { return 1; } };\n}";
    const scenario = parseScenario({ ...KICKS, patches: [written(source)] });
    parseScenario(JSON.parse(JSON.stringify(scenarioInput(scenario))));
    expect(globalThis).not.toHaveProperty("wasRun");
    try {
      expect(() => run(scenario)).toThrow("the guest makes no progress");
      expect(globalThis).toHaveProperty("wasRun", true);
    } finally {
      Reflect.deleteProperty(globalThis, "wasRun");
    }
  });

  it("has constants that it may not write to", () => {
    const patch = written("(own) => { own.limit++; return { handleExit() { return own.limit; } }; }", {
      limit: 1,
    });
    const scenario = parseScenario({ ...KICKS, patches: [patch] });
    expect(() => run(scenario)).toThrow(
      "patch \"mine\": TypeError: Cannot assign to read only property 'limit'",
    );
    expect(scenario.patches).toMatchObject([{ constants: { limit: 1 } }]);
  });
});
