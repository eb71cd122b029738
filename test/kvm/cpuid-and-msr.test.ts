/** CPUID, RDMSR and WRMSR: exits that the processor's guest cannot go without, and that KVM answers from what it keeps. */
import { describe, expect, it } from "vitest";
import { KERNEL_VERSIONS } from "../../src/kvm/eras.js";
import { printFtrace } from "../../src/kvm/ftrace.js";
import { Trace } from "../../src/kvm/trace.js";
import { Machine } from "./machine.js";

/** Of each: what counts the exit and its handling, reason on VMX, code and EXITINFO1 on SVM, and its name in a trace. */
const INSTRUCTIONS = [
  {
    op: "cpuid",
    exit: "exitCpuid",
    handled: "cpuidEmulation",
    reason: 10,
    code: 0x72,
    info: 0,
    name: "CPUID",
  },
  { op: "rdmsr", exit: "exitMsrRead", handled: "getMsr", reason: 31, code: 0x7c, info: 0, name: "MSR_READ" },
  {
    op: "wrmsr",
    exit: "exitMsrWrite",
    handled: "setMsr",
    reason: 32,
    code: 0x7c,
    info: 1,
    name: "MSR_WRITE",
  },
] as const;

const cases = KERNEL_VERSIONS.flatMap((kernel) => INSTRUCTIONS.map((one) => ({ kernel, ...one })));

describe.each(cases)("in $kernel, $op", ({ kernel, op, exit, handled, reason, code, info, name }) => {
  it.each(["ept", "shadow"] as const)("exits on VMX with %s, and KVM skips it", (paging) => {
    const machine = new Machine(kernel, { paging });
    expect(machine.run(op, 0)).toEqual({ [exit]: 1, [handled]: 1, vmread: 1, skipEmulatedInstruction: 1 });
    const { vmcs, rip, wrongSkips } = machine.vm.vcpu;
    expect([vmcs.exitReason, vmcs.exitQualification, rip, wrongSkips]).toEqual([reason, 0, 0x1002, 0]);
  });

  it("exits on SVM, and KVM skips it by the next RIP that the processor has saved", () => {
    const machine = new Machine(kernel, { paging: "npt" });
    expect(machine.run(op, 0)).toEqual({ [exit]: 1, [handled]: 1, skipEmulatedInstruction: 1 });
    const { vmcb, rip } = machine.vm.vcpu;
    expect([vmcb.exitCode, vmcb.exitInfo1, rip]).toEqual([code, info, 0x1002]);
  });

  it("is in the trace by the name of its exit", () => {
    const machine = new Machine(kernel);
    machine.vm.trace = new Trace();
    machine.run(op, 0);
    const text = printFtrace(machine.vm.trace, { kernel });
    expect(text).toContain(`kvm_exit: ${kernel === "v6.19" ? "vcpu 0 " : ""}reason ${name} rip 0x1000 `);
    expect(text).toContain("kvm_entry:");
  });
});

describe.each(INSTRUCTIONS)("with mitigations, $op", ({ op }) => {
  it("costs a mitigated exit, and a retpoline where KVM does not call the handler directly", () => {
    const counted = (paging: "ept" | "npt") =>
      new Machine("v6.19", { paging, mitigations: "auto" }).run(op, 0);
    const [vmx, svm] = [counted("ept"), counted("npt")];
    expect([vmx.exitMitigation, svm.exitMitigation]).toEqual([1, 1]);
    expect(vmx.retpoline).toBe(op === "wrmsr" ? undefined : 1);
    expect(svm.retpoline).toBe(op === "cpuid" ? 1 : undefined);
  });
});
