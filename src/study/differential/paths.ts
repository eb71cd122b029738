/** Paths of KVM that scenarios can lead to, and what a host must have for each. */
import { KVM } from "../../kvm/primitives.js";
import type { Paging } from "../../kvm/spte.js";

/** What decides which paths a host can take. */
export interface HostPaging {
  readonly paging: Paging;
  readonly mmioCaching: boolean;
}

export interface Path {
  readonly name: string;
  /** What the model counts on it; none: the fast MMIO bus, which is told by the ioeventfds on it. */
  readonly primitives: readonly number[];
  /** What it takes. */
  readonly needs: keyof typeof NEEDS;
}

const NEEDS = {
  nothing: () => true,
  EPT: ({ paging }: HostPaging) => paging === "ept",
  "EPT and mmio_caching": ({ paging, mmioCaching }: HostPaging) => paging === "ept" && mmioCaching,
  "nested page tables of SVM": ({ paging }: HostPaging) => paging === "npt",
  "two-dimensional paging": ({ paging }: HostPaging) => paging !== "shadow",
  "shadow paging": ({ paging }: HostPaging) => paging === "shadow",
  mmio_caching: ({ mmioCaching }: HostPaging) => mmioCaching,
} as const;

export const FAST_MMIO_BUS = "signal by the fast MMIO bus";

export const PATHS: readonly Path[] = [
  { name: "exit: EPT misconfiguration", primitives: [KVM.exitEptMisconfig], needs: "EPT and mmio_caching" },
  { name: "exit: EPT violation", primitives: [KVM.exitEptViolation], needs: "EPT" },
  { name: "exit: nested page fault", primitives: [KVM.exitNpf], needs: "nested page tables of SVM" },
  { name: "exit: page fault", primitives: [KVM.exitException], needs: "shadow paging" },
  { name: "exit: port", primitives: [KVM.exitIoInstruction], needs: "nothing" },
  { name: FAST_MMIO_BUS, primitives: [], needs: "EPT and mmio_caching" },
  { name: "look for an MMIO SPTE", primitives: [KVM.mmioSpteWalk], needs: "mmio_caching" },
  { name: "fault without the lock", primitives: [KVM.fastPageFault], needs: "two-dimensional paging" },
  { name: "fault of a shadow", primitives: [KVM.shadowPageFault], needs: "shadow paging" },
  { name: "emulator", primitives: [KVM.emulateInstruction], needs: "nothing" },
  { name: "port without the emulator", primitives: [KVM.fastPioOut, KVM.fastPioIn], needs: "nothing" },
  { name: "compare of a datamatch", primitives: [KVM.datamatchCompare], needs: "nothing" },
  { name: "drop of all tables", primitives: [KVM.zapAllPages], needs: "nothing" },
  { name: "exit to userspace, memory", primitives: [KVM.userspaceExitMmio], needs: "nothing" },
  { name: "exit to userspace, port", primitives: [KVM.userspaceExitIo], needs: "nothing" },
];

export function isReachable({ needs }: Path, host: HostPaging): boolean {
  return NEEDS[needs](host);
}

/** What no scenario has, whatever the host. */
export const LEFT_OUT = [
  "devices and interrupt controllers in the kernel, and their page",
  "coalesced MMIO",
  "several vCPUs",
  "INS and OUTS",
  "events under delivery",
  "a guest's guest",
  "large pages",
] as const;
