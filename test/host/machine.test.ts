/** The description of the measured machine, of made-up ones whose files a test writes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { describeMachine, type HostMachine, limitsOf, pinningAdvice } from "../../src/host/machine.js";

const roots: string[] = [];
afterAll(() => {
  for (const root of roots) rmSync(root, { recursive: true });
});

/** A machine of these files; each ends with a newline, as in /proc and /sys. */
function machine(files: Readonly<Record<string, string>>): HostMachine {
  const root = mkdtempSync(join(tmpdir(), "exitlab-machine-"));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  return describeMachine(root);
}

const SYSTEM = "sys/devices/system";
const CPU = `${SYSTEM}/cpu`;

function cpuinfo(fields: Readonly<Record<string, string | number>>): string {
  const processor = (n: number) =>
    Object.entries({ processor: n, ...fields })
      .map(([name, value]) => `${name}\t: ${value}`)
      .join("\n");
  return `${processor(0)}\n\n${processor(1)}\n`;
}

/** A Xeon of the Ice Lake generation on bare metal, set up for measuring. */
const INTEL = {
  "proc/cpuinfo": cpuinfo({
    vendor_id: "GenuineIntel",
    "cpu family": 6,
    model: 106,
    "model name": "Intel(R) Xeon(R) Platinum 8351N CPU @ 2.40GHz",
    stepping: 6,
    microcode: "0xd0003d1",
    flags: "fpu vme tsc msr constant_tsc nonstop_tsc tsc_known_freq vmx ept vpid",
  }),
  "proc/sys/kernel/osrelease": "6.12.9-amd64",
  "proc/sys/kernel/version": "#1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1",
  "proc/sys/kernel/perf_event_paranoid": "-1",
  "sys/module/kvm/parameters/mmio_caching": "Y",
  "sys/module/kvm/parameters/tdp_mmu": "Y",
  "sys/module/kvm_intel/parameters/ept": "Y",
  "sys/module/kvm_amd/parameters/npt": "Y",
  "sys/class/dmi/id/sys_vendor": "Supermicro",
  [`${CPU}/online`]: "0-3",
  [`${CPU}/isolated`]: "1,3",
  [`${CPU}/smt/active`]: "1",
  [`${CPU}/intel_pstate/no_turbo`]: "1",
  [`${CPU}/vulnerabilities/mds`]: "Not affected",
  [`${CPU}/vulnerabilities/spectre_v2`]: "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional",
  ...Object.fromEntries(
    ["0,2", "1,3", "0,2", "1,3"].flatMap((siblings, cpu) => [
      [`${CPU}/cpu${cpu}/topology/thread_siblings_list`, siblings],
      [`${CPU}/cpu${cpu}/cpufreq/scaling_governor`, "performance"],
    ]),
  ),
  [`${SYSTEM}/clocksource/clocksource0/current_clocksource`]: "tsc",
};

/** An EPYC of the Zen 3 generation as it comes from the shop. */
const AMD = {
  "proc/cpuinfo": cpuinfo({
    vendor_id: "AuthenticAMD",
    "cpu family": 25,
    model: 1,
    "model name": "AMD EPYC 7543 32-Core Processor",
    flags: "fpu tsc constant_tsc nonstop_tsc svm npt nrip_save",
  }),
  "proc/sys/kernel/osrelease": "6.1.0-56-amd64",
  "sys/module/kvm/parameters/mmio_caching": "Y",
  "sys/module/kvm_amd/parameters/npt": "1",
  [`${CPU}/online`]: "0-1",
  [`${CPU}/isolated`]: "",
  [`${CPU}/smt/active`]: "0",
  [`${CPU}/cpufreq/boost`]: "1",
  [`${CPU}/cpu0/topology/thread_siblings_list`]: "0",
  [`${CPU}/cpu0/cpufreq/scaling_governor`]: "schedutil",
  [`${CPU}/cpu1/cpufreq/scaling_governor`]: "powersave",
};

/** A guest of QEMU whose own KVM was loaded without EPT. */
const NESTED = {
  "proc/cpuinfo": cpuinfo({ vendor_id: "GenuineIntel", flags: "fpu tsc hypervisor vmx" }),
  "sys/module/kvm/parameters/mmio_caching": "Y",
  "sys/module/kvm_intel/parameters/ept": "N",
  "sys/class/dmi/id/sys_vendor": "QEMU",
  "sys/class/dmi/id/product_name": "Standard PC (Q35 + ICH9, 2009)",
  [`${SYSTEM}/clocksource/clocksource0/current_clocksource`]: "kvm-clock",
};

describe("the description of a machine", () => {
  it("of an Intel host on bare metal has what its kernel says", () => {
    expect(machine(INTEL)).toEqual({
      cpuModel: "Intel(R) Xeon(R) Platinum 8351N CPU @ 2.40GHz",
      vendor: "GenuineIntel",
      family: 6,
      model: 106,
      stepping: 6,
      microcode: "0xd0003d1",
      kernel: "6.12.9-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1",
      kvmModule: "kvm_intel",
      parameters: { "kvm.mmio_caching": "Y", "kvm.tdp_mmu": "Y", "kvm_intel.ept": "Y" },
      paging: "ept",
      mmioCaching: true,
      mitigations: {
        mds: "Not affected",
        spectre_v2: "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional",
      },
      virtualized: null,
      governor: "performance",
      turbo: false,
      smt: true,
      onlineCpus: "0-3",
      isolatedCpus: "1,3",
      coreSiblings: ["0,2", "1,3"],
      clocksource: "tsc",
      tscFlags: ["constant_tsc", "nonstop_tsc", "tsc_known_freq"],
      perfEventParanoid: -1,
    });
  });

  it("of an AMD host knows NPT, also from a kernel that prints it as a number", () => {
    expect(machine(AMD)).toMatchObject({
      kvmModule: "kvm_amd",
      paging: "npt",
      kernel: "6.1.0-56-amd64",
      governor: "schedutil, powersave",
      turbo: true,
      smt: false,
      isolatedCpus: "",
      coreSiblings: [],
    });
  });

  it("of a guest names its hypervisor as the firmware does, or calls it unnamed", () => {
    expect(machine(NESTED)).toMatchObject({
      paging: "shadow",
      virtualized: { hypervisor: "QEMU Standard PC (Q35 + ICH9, 2009)" },
    });
    const { virtualized } = machine({ "proc/cpuinfo": cpuinfo({ flags: "fpu hypervisor" }) });
    expect(virtualized).toEqual({ hypervisor: "unnamed" });
  });

  it("with a module of KVM that needs neither VMX nor SVM knows that it is not EPT", () => {
    const pvm = machine({
      "proc/cpuinfo": cpuinfo({ vendor_id: "AuthenticAMD", flags: "fpu hypervisor" }),
      "sys/module/kvm_amd/parameters/npt": "N",
      "sys/module/kvm_pvm/parameters/tsc": "Y",
    });
    expect(pvm).toMatchObject({ kvmModule: "kvm_pvm", paging: "shadow", mmioCaching: null });
  });

  it("of a machine without KVM, and of an empty folder, has null for what is missing", () => {
    const bare = machine({ "proc/cpuinfo": cpuinfo({ flags: "fpu vmx" }) });
    expect(bare).toMatchObject({ kvmModule: null, paging: "unknown", mmioCaching: null, parameters: {} });
    expect(machine({})).toEqual({
      ...Object.fromEntries(
        "cpuModel vendor family model stepping microcode kernel kvmModule mmioCaching virtualized governor turbo smt onlineCpus isolatedCpus clocksource perfEventParanoid"
          .split(" ")
          .map((field) => [field, null]),
      ),
      parameters: {},
      paging: "unknown",
      mitigations: {},
      coreSiblings: [],
      tscFlags: [],
    });
  });

  it("of the machine that runs this test is JSON", () => {
    const here = describeMachine();
    expect(JSON.parse(JSON.stringify(here))).toEqual(here);
  });
});

describe("the advice on pinning", () => {
  it("is to keep the other thread of the core idle, where all else is done", () => {
    expect(pinningAdvice(machine(INTEL), 1)).toEqual(["CPU 1 shares its core with CPU 3: keep that idle."]);
  });

  it("names a CPU that is not isolated", () => {
    expect(pinningAdvice(machine(INTEL), 2)).toContain(
      "CPU 2 is not isolated (isolcpus=): other tasks may run there.",
    );
  });

  it("names a CPU that is not there", () => {
    expect(pinningAdvice(machine(INTEL), 4)).toEqual(["CPU 4 is not online: 0-3 are."]);
  });

  it("without a CPU is to pin, and to hold the clock still", () => {
    expect(pinningAdvice(machine(AMD), null)).toEqual([
      "The vCPU's thread may move between CPUs: pin it to one.",
      "The clock's governor is schedutil, powersave: performance keeps it steadier.",
      "Turbo is on: without it the core's clock is steadier.",
    ]);
  });

  it("says nothing of what the kernel does not say", () => {
    expect(pinningAdvice(machine({}), 0)).toEqual([]);
  });
});

describe("the limits of what was measured", () => {
  const limits = (files: Readonly<Record<string, string>>) => limitsOf(machine(files)).join("\n");

  it("with EPT on bare metal at a fixed clock are those of SMT alone", () => {
    expect(limitsOf(machine(INTEL))).toEqual([
      "SMT is on: what the core's other thread does is in the times.",
    ]);
    expect(limitsOf(machine({ ...INTEL, [`${CPU}/smt/active`]: "0" }))).toEqual([]);
  });

  it("without MMIO caching are that an MMIO access is a violation, and the fast MMIO bus out of reach", () => {
    const off = { "sys/module/kvm/parameters/mmio_caching": "N" };
    expect(limits({ ...INTEL, ...off })).toMatch(
      /kvm.mmio_caching is off: .* an EPT violation .* the fast MMIO bus is not reached/,
    );
    expect(limits({ ...AMD, ...off })).toMatch(
      /kvm.mmio_caching is off: .* with a search for the memory slot/,
    );
  });

  it("with NPT are that both are #NPF, that the rows on read-only slots are no proxy, and the turbo", () => {
    const text = limits(AMD);
    expect(text).toContain("the same exit, #NPF");
    expect(text).toContain("no proxy for what an EPT violation takes more or less than a misconfiguration");
    expect(text).toContain("Kernels up to 6.19 do not ask the fast MMIO bus there");
    expect(text).toContain("this is 6.1.0-56-amd64");
    expect(text).toContain("Turbo is on: the core may run faster than the TSC");
  });

  it("of a guest with shadow paging are no exit by EPT, no fast MMIO bus, and times of the whole stack", () => {
    const text = limits(NESTED);
    expect(text).toContain("neither an EPT violation nor an EPT misconfiguration");
    expect(text).toContain("An access to MMIO is a page fault");
    expect(text).toContain("the fast MMIO bus is never asked");
    expect(text).toContain("itself a guest (QEMU Standard PC (Q35 + ICH9, 2009))");
    expect(text).toContain("The times are those of the whole stack");
  });

  it("of a guest with EPT are also that the fast MMIO bus decodes the instruction", () => {
    const text = limits({ ...NESTED, "sys/module/kvm_intel/parameters/ept": "Y" });
    expect(text).toContain("On the fast MMIO bus KVM decodes the instruction");
    expect(text).not.toContain("shadow paging");
  });

  it("under kvm_pvm are that no row is a VM exit, and none goes through the outer hypervisor", () => {
    const text = limits({
      "proc/cpuinfo": cpuinfo({ flags: "fpu hypervisor" }),
      "sys/module/kvm_pvm/parameters/tsc": "Y",
    });
    expect(text).toContain("Under kvm_pvm a guest runs in the processor's user mode");
    expect(text).toContain("neither an EPT violation nor an EPT misconfiguration");
    expect(text).not.toContain("an exit goes through the outer hypervisor");
  });

  it("without KVM are that nothing can be measured", () => {
    const [first] = limitsOf(machine({ "proc/cpuinfo": cpuinfo({ flags: "fpu vmx" }) }));
    expect(first).toBe("No module of KVM is loaded: nothing can be measured here.");
  });

  it("of parameters that cannot be read are that the exits are not known", () => {
    const { "sys/module/kvm_intel/parameters/ept": _, ...unreadable } = INTEL;
    const text = limits({ ...unreadable, "sys/module/kvm_intel/version": "1" });
    expect(text).toContain("which exits the rows on MMIO and on read-only slots are is not known");
  });
});
