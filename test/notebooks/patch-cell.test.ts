/** What a notebook's compiler, which has no strict mode, knows of a patch while it is written in a cell. */
import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

interface Converter {
  convert(
    before: string,
    cell: string,
  ): {
    readonly diagnostics: readonly { readonly messageText: string }[];
    readonly output: string;
    readonly declOutput: string;
  };
  complete(before: string, cell: string, at: number): { readonly candidates: readonly string[] };
  close(): void;
}

const { createConverter } = createRequire(import.meta.url)("tslab/dist/converter") as {
  createConverter(options: { readonly isJS: boolean }): Converter;
};

let converter: Converter;
beforeAll(() => {
  converter = createConverter({ isJS: false });
}, 60_000);
afterAll(() => converter.close());

const IMPORT = 'import { definePatch, KVM_FAST_MMIO_BUS } from "exitlab";\n';

/** A patch whose one method does this. */
const method = (body: string) =>
  `${IMPORT}definePatch("mine", { vmxHandleEptViolation(gpa, qualification) { ${body} } });`;

const withConstant = (body: string) =>
  `${IMPORT}definePatch("mine", { limit: 3 }, ({ limit }) => ({ handleEptMisconfig() { ${body} } }));`;

/** What may stand at the bar. */
function completed(cell: string): readonly string[] {
  return converter.complete("", cell.replace("|", ""), cell.indexOf("|")).candidates;
}

function errors(cell: string): string {
  return converter
    .convert("", cell)
    .diagnostics.map(({ messageText }) => messageText)
    .join("\n");
}

describe("a patch in a cell", { timeout: 60_000 }, () => {
  it("completes the kernel's functions, and those before the patch", () => {
    expect(completed(method("return this.kvmIoBusWr|"))).toContain("kvmIoBusWrite");
    expect(completed(method("return this.original.vmxHandle|"))).toContain("vmxHandleEptViolation");
    expect(completed(withConstant("return this.handleMmio|"))).toContain("handleMmioMisconfig");
  });

  it("completes the names of the functions to change", () => {
    expect(completed(`${IMPORT}definePatch("mine", { kvmHandleB| });`)).toContain("kvmHandleBadPage");
  });

  it("is without an error when it has none", () => {
    const asks =
      "if (this.kvmIoBusWrite(KVM_FAST_MMIO_BUS, gpa, 0) === 0) return this.kvmSkipEmulatedInstruction();";
    expect(errors(method(`${asks} return this.original.vmxHandleEptViolation(gpa, qualification);`))).toBe(
      "",
    );
    expect(errors(withConstant("return limit > 4 ? this.original.handleEptMisconfig() : 1;"))).toBe("");
  });

  it("gets what an earlier cell imported as it gets an earlier cell's variable: the two cannot be told apart", () => {
    const earlier = converter.convert("", `${IMPORT}import * as exitlab from "exitlab"; const limit = 3;`);
    const cell =
      'definePatch("mine", { handleExit() { return KVM_FAST_MMIO_BUS + exitlab.PAGE + limit; } });';
    expect(converter.convert(earlier.declOutput, cell).output).toContain(
      "return exports.KVM_FAST_MMIO_BUS + exports.exitlab.PAGE + exports.limit;",
    );
  });

  it("has a type error for a function that the kernel does not have, a field, and an argument", () => {
    expect(errors(method("return this.kvmIoBusWrit(KVM_FAST_MMIO_BUS, gpa, 0);"))).toBe(
      "Property 'kvmIoBusWrit' does not exist on type 'PatchedKernel'. Did you mean 'kvmIoBusWrite'?",
    );
    expect(errors(method("return this.vcpu.vmcs.exitReasn;"))).toContain("Did you mean 'exitReason'?");
    expect(errors(method("return gpa.page;"))).toBe("Property 'page' does not exist on type 'number'.");
    expect(errors(withConstant("return limit.most;"))).toBe(
      "Property 'most' does not exist on type 'number'.",
    );
  });

  it("has a type error for a function of an unknown name, and for one that returns no number", () => {
    expect(errors(`${IMPORT}definePatch("mine", { handleEptViolatoin() { return 1; } });`)).toContain(
      "Did you mean to write 'handleEptViolation'?",
    );
    expect(errors(method('return "resume";'))).toContain("Type 'string' is not assignable to type 'number'.");
  });
});
