/**
 * The machine whose KVM is measured, as its kernel describes it in /proc and /sys (Documentation/ABI, and
 * Documentation/admin-guide/kernel-parameters.txt for the parameters of kvm, kvm_intel and kvm_amd): what decides what the
 * measured times can and cannot say, and what makes them unsteady.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** null: the kernel does not say. CPUs are lists as the kernel prints them, such as "0-3,8". */
export interface HostMachine {
  readonly cpuModel: string | null;
  /** As CPUID has it, such as "GenuineIntel". */
  readonly vendor: string | null;
  readonly family: number | null;
  readonly model: number | null;
  readonly stepping: number | null;
  readonly microcode: string | null;
  /** What `uname -r -v` prints. */
  readonly kernel: string | null;
  /** "kvm_intel", "kvm_amd", or what else makes a KVM of /dev/kvm. */
  readonly kvmModule: string | null;
  /** By module and name, such as "kvm_intel.ept", as the kernel prints them. */
  readonly parameters: Readonly<Record<string, string>>;
  /** How a guest's memory is translated. */
  readonly paging: "ept" | "npt" | "shadow" | "unknown";
  /** Whether KVM marks entries as MMIO. Older kernels have no parameter that says so, and do it where they can. */
  readonly mmioCaching: boolean | null;
  /** By name, what the kernel does against each vulnerability of the processor. */
  readonly mitigations: Readonly<Record<string, string>>;
  /** Whose guest this machine is, as its firmware has it; null: it runs on hardware. */
  readonly virtualized: { readonly hypervisor: string } | null;
  /** Of the cores' clock; several where CPUs differ. */
  readonly governor: string | null;
  readonly turbo: boolean | null;
  readonly smt: boolean | null;
  readonly onlineCpus: string | null;
  readonly isolatedCpus: string | null;
  /** The CPUs of each core that has more than one. */
  readonly coreSiblings: readonly string[];
  readonly clocksource: string | null;
  /** What the kernel knows of the TSC, such as "constant_tsc". */
  readonly tscFlags: readonly string[];
  /** Who may count events: kernel.perf_event_paranoid. */
  readonly perfEventParanoid: number | null;
}

const CPU = "sys/devices/system/cpu";

/** Flags of /proc/cpuinfo. */
const TSC_FLAGS = ["constant_tsc", "nonstop_tsc", "tsc_known_freq", "tsc_reliable"];

/** What the files below `root` say. It throws nothing: what is missing there is null or empty. */
export function describeMachine(root = "/"): HostMachine {
  const read = (...path: string[]) => readText(join(root, ...path));
  const list = (...path: string[]) => readFolder(join(root, ...path));
  const texts = (folder: string, prefix = "") =>
    Object.fromEntries(list(folder).map((name) => [prefix + name, read(folder, name) ?? ""]));
  const numberIn = (text: string | null | undefined) => (text?.match(/^-?\d+$/) ? Number(text) : null);
  const flagIn = (text: string | null | undefined) => (text ? /^[Y1]$/.test(text) : null);

  const cpu = firstProcessor(read("proc/cpuinfo") ?? "");
  const flags = cpu.get("flags")?.split(" ") ?? [];
  const kvmModule = moduleOf(flags, list("sys/module"));
  const modules = kvmModule === null ? ["kvm"] : ["kvm", kvmModule];
  const parameters = Object.assign(
    {},
    ...modules.map((module) => texts(`sys/module/${module}/parameters`, `${module}.`)),
  ) as Record<string, string>;
  const cpus = list(CPU).filter((name) => /^cpu\d+$/.test(name));
  const ofCpus = (...path: string[]) => distinct(cpus.map((name) => read(CPU, name, ...path)));
  const firmware = ["sys_vendor", "product_name"].map((name) => read("sys/class/dmi/id", name));
  const noTurbo = flagIn(read(CPU, "intel_pstate/no_turbo"));

  return {
    cpuModel: cpu.get("model name") ?? null,
    vendor: cpu.get("vendor_id") ?? null,
    family: numberIn(cpu.get("cpu family")),
    model: numberIn(cpu.get("model")),
    stepping: numberIn(cpu.get("stepping")),
    microcode: cpu.get("microcode") ?? null,
    kernel: distinct([read("proc/sys/kernel/osrelease"), read("proc/sys/kernel/version")]).join(" ") || null,
    kvmModule,
    parameters,
    paging: pagingOf(kvmModule, parameters),
    mmioCaching: flagIn(parameters["kvm.mmio_caching"]),
    mitigations: texts(`${CPU}/vulnerabilities`),
    virtualized: flags.includes("hypervisor")
      ? { hypervisor: distinct([read("sys/hypervisor/type"), ...firmware]).join(" ") || "unnamed" }
      : null,
    governor: ofCpus("cpufreq/scaling_governor").join(", ") || null,
    turbo: noTurbo === null ? flagIn(read(CPU, "cpufreq/boost")) : !noTurbo,
    smt: flagIn(read(CPU, "smt/active")),
    onlineCpus: read(CPU, "online"),
    isolatedCpus: read(CPU, "isolated"),
    coreSiblings: ofCpus("topology/thread_siblings_list").filter((siblings) => cpusOf(siblings).length > 1),
    clocksource: read("sys/devices/system/clocksource/clocksource0/current_clocksource"),
    tscFlags: flags.filter((flag) => TSC_FLAGS.includes(flag)),
    perfEventParanoid: numberIn(read("proc/sys/kernel/perf_event_paranoid")),
  };
}

/** What would make the times steadier: only what applies. @param pinned the CPU of the vCPU's thread, null: any */
export function pinningAdvice(machine: HostMachine, pinned: number | null): string[] {
  const { onlineCpus, isolatedCpus, coreSiblings, governor, turbo } = machine;
  const advice: string[] = [];
  if (pinned === null) {
    advice.push("The vCPU's thread may move between CPUs: pin it to one.");
  } else if (onlineCpus !== null && !cpusOf(onlineCpus).includes(pinned)) {
    advice.push(`CPU ${pinned} is not online: ${onlineCpus} are.`);
  } else {
    if (isolatedCpus !== null && !cpusOf(isolatedCpus).includes(pinned))
      advice.push(`CPU ${pinned} is not isolated (isolcpus=): other tasks may run there.`);
    const siblings = coreSiblings.map(cpusOf).find((cpus) => cpus.includes(pinned)) ?? [];
    const others = siblings.filter((cpu) => cpu !== pinned);
    if (others.length > 0)
      advice.push(`CPU ${pinned} shares its core with CPU ${others.join(", ")}: keep that idle.`);
  }
  if (governor !== null && governor !== "performance")
    advice.push(`The clock's governor is ${governor}: performance keeps it steadier.`);
  if (turbo) advice.push("Turbo is on: without it the core's clock is steadier.");
  return advice;
}

/** What the times measured on this machine do not say, a sentence or a few for each reason. */
export function limitsOf(machine: HostMachine): string[] {
  const { kvmModule, kernel, paging, mmioCaching, virtualized, turbo, smt } = machine;
  const limits: string[] = [];
  if (kvmModule === null) limits.push("No module of KVM is loaded: nothing can be measured here.");
  if (kvmModule === "kvm_pvm")
    limits.push(
      "Under kvm_pvm a guest runs in the processor's user mode, and leaves it through an exception or a system call: no row says what a VM exit of VMX or SVM takes.",
    );
  if (paging === "shadow")
    limits.push(
      "Guests run with shadow paging: there is neither an EPT violation nor an EPT misconfiguration, and no row says what either takes. An access to MMIO is a page fault, which KVM knows by reserved bits in its own tables, and the fast MMIO bus is never asked: a wildcard eventfd on MMIO is an emulated access that finds it on the MMIO bus.",
      "The rows on read-only slots are page faults too, and a RAM fault is one for which KVM walks the guest's tables in software. What can be compared are port I/O, CPUID, the way to userspace, and the difference that an eventfd makes.",
    );
  if (paging === "npt")
    limits.push(
      `Guests run with AMD's nested page tables: an access to MMIO and one to a read-only slot are the same exit, #NPF, told apart by its error code. The rows on read-only slots are no proxy for what an EPT violation takes more or less than a misconfiguration. Kernels up to 6.19 do not ask the fast MMIO bus there, and a wildcard eventfd on MMIO is an emulated access${kernel === null ? "" : `; this is ${kernel.split(" ")[0]}`}.`,
    );
  if (paging === "unknown" && kvmModule !== null)
    limits.push(
      "Whether guests run with EPT, nested page tables or shadow paging cannot be read here: which exits the rows on MMIO and on read-only slots are is not known.",
    );
  if (mmioCaching === false)
    limits.push(
      `kvm.mmio_caching is off: no access to MMIO finds an entry that says so. ${withoutMmioCaching(paging)}`,
    );
  if (virtualized !== null) {
    if (kvmModule !== "kvm_pvm")
      limits.push(
        `This machine is itself a guest (${virtualized.hypervisor}): an exit goes through the outer hypervisor, which emulates it and the entry after it, and VMREAD, VMWRITE, VMLOAD or STGI in KVM may exit too. The times are those of the whole stack, and none is the processor's.`,
      );
    limits.push(
      "The outer hypervisor may run others on these cores, and at which clock they run cannot be seen from here.",
    );
    if (paging === "ept")
      limits.push(
        "On the fast MMIO bus KVM decodes the instruction to find its end: since 2018 it takes no length for an EPT misconfiguration from a hypervisor.",
      );
  } else if (turbo !== false) {
    const clock = turbo ? "Turbo is on" : "Whether turbo is on cannot be read here";
    limits.push(
      `${clock}: the core may run faster than the TSC that counts, by how much hangs on load and heat, and two rows may stand at two clocks.`,
    );
  }
  if (smt) limits.push("SMT is on: what the core's other thread does is in the times.");
  return limits;
}

function withoutMmioCaching(paging: HostMachine["paging"]): string {
  if (paging === "ept")
    return "Each is an EPT violation that KVM handles as a first one, none is a misconfiguration, and the fast MMIO bus is not reached.";
  return "Each is a fault that KVM handles as a first one, with a search for the memory slot.";
}

/**
 * The module that makes /dev/kvm. Kernels that have both built in show both, so the processor's flag decides; what neither
 * VMX nor SVM needs comes with another module.
 */
function moduleOf(flags: readonly string[], modules: readonly string[]): string | null {
  if (flags.includes("vmx") && modules.includes("kvm_intel")) return "kvm_intel";
  if (flags.includes("svm") && modules.includes("kvm_amd")) return "kvm_amd";
  return (
    modules.find((name) => name.startsWith("kvm_") && name !== "kvm_intel" && name !== "kvm_amd") ?? null
  );
}

function pagingOf(
  module: string | null,
  parameters: Readonly<Record<string, string>>,
): HostMachine["paging"] {
  if (module === "kvm_pvm") return "shadow";
  const tdp = module === "kvm_intel" ? "ept" : "npt";
  const parameter = parameters[`${module}.${tdp}`];
  if (!parameter) return "unknown";
  return /^[Y1]$/.test(parameter) ? tdp : "shadow";
}

/** Fields of the first processor in /proc/cpuinfo. */
function firstProcessor(cpuinfo: string): ReadonlyMap<string, string> {
  const lines = cpuinfo.split("\n\n")[0].split("\n");
  return new Map(
    lines.map((line) => {
      const [name, ...value] = line.split(":");
      return [name.trim(), value.join(":").trim()];
    }),
  );
}

/** CPUs of a list of the kernel's. */
function cpusOf(list: string): number[] {
  return list
    .split(",")
    .filter((range) => range !== "")
    .flatMap((range) => {
      const [first, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, at) => first + at);
    });
}

function distinct(texts: readonly (string | null)[]): string[] {
  return [...new Set(texts.filter((text) => text !== null && text !== ""))] as string[];
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return null;
  }
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
}
