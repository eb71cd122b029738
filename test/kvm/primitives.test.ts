/** The hypervisor's primitives: what the ledger calls them, and the constants that count them. */
import { describe, expect, it } from "vitest";
import { KVM, PRIMITIVES } from "../../src/kvm/primitives.js";
import { X86_PRIMITIVES } from "../../src/x86/ledger.js";

describe("the primitives", () => {
  it("are the silicon's, then the hypervisor's", () => {
    expect(PRIMITIVES.slice(0, X86_PRIMITIVES.length)).toEqual(X86_PRIMITIVES);
    expect(PRIMITIVES).toHaveLength(X86_PRIMITIVES.length + Object.keys(KVM).length);
  });

  it.each(Object.entries(KVM))("%s has its name at its index, %i", (name, index) => {
    expect(PRIMITIVES[index]).toBe(name);
  });

  it("begin where the silicon's end", () => {
    expect(KVM.exitVmcall).toBe(X86_PRIMITIVES.length);
  });
});
