/** What the steps of scenarios are about, for the count of how often each was met. */
import { INSTRUCTION_FORMS } from "../../kvm/instruction.js";
import { KVM_PIO_BUS } from "../../kvm/io-bus.js";
import {
  type Ioeventfd,
  KVM_IOEVENTFD_FLAG_DATAMATCH,
  KVM_IOEVENTFD_FLAG_DEASSIGN,
  KVM_IOEVENTFD_FLAG_PIO,
} from "../../kvm/ioeventfd.js";
import { KVM_MEM_READONLY } from "../../kvm/memslots.js";
import type { Svm } from "../../kvm/svm.js";
import { PAGE } from "../../x86/mmu.js";
import type { OutcomeEvent } from "./outcome.js";
import {
  type AskIoeventfd,
  GUEST_OPS,
  type GuestStep,
  isPortOp,
  type SetMemory,
  type Step,
} from "./scenario.js";

const SIZES = [1, 2, 4, 8, 16];

/** All features, in the order of the report: what each group is of, and their names. */
export const FEATURES: Readonly<Record<string, readonly string[]>> = {
  KVM_SET_USER_MEMORY_REGION: [
    ...["slot created", "read-only slot created", "slot deleted", "slot moved", "flags changed"],
    ...["nothing changed", "EINVAL", "EEXIST"],
  ],
  KVM_IOEVENTFD: [
    ...["any length", "a length", "datamatch", "port, any length", "port, a length", "port, datamatch"],
    ...["deassigned", "EINVAL", "EEXIST", "ENOENT", "EBADF"],
  ],
  "other calls": ["KVM_GET_DIRTY_LOG", "KVM_GET_DIRTY_LOG: ENOENT", "MADV_DONTNEED"],
  instruction: GUEST_OPS,
  "size of the operand": SIZES.map(sizeText),
  "place of the operand": [
    "no slot",
    "read-only slot",
    "writable slot",
    "port",
    "two pages",
    "two kinds of pages",
  ],
  outcome: [
    ...["signal, any length", "signal, a length", "signal, datamatch"],
    ...["signal, port, any length", "signal, port, a length", "signal, port, datamatch"],
    ...["several signals", "signal and userspace", "userspace alone", "neither"],
  ],
};

export interface Feature {
  readonly group: string;
  readonly name: string;
}

/** What of a step is known beforehand. */
export function featuresBefore(step: Step, vm: Svm): Feature[] {
  if (step.does !== "access") return [];
  const { op, size } = step;
  return [
    { group: "instruction", name: op },
    { group: "size of the operand", name: sizeText(size) },
    ...placesOf(step, vm).map((name) => ({ group: "place of the operand", name })),
  ];
}

/**
 * What has come of a step.
 * @param slot what KVM_SET_USER_MEMORY_REGION had made of the step's slot before
 * @param signalled ioeventfds that took a write of the step
 */
export function featuresAfter(
  step: Step,
  events: readonly OutcomeEvent[],
  slot: SetMemory | undefined,
  signalled: readonly Ioeventfd[],
): Feature[] {
  const error = events.flatMap((event) =>
    event.kind === "ioctl" && event.result !== "0" ? [event.result] : [],
  )[0];
  switch (step.does) {
    case "set-memory":
      return [{ group: "KVM_SET_USER_MEMORY_REGION", name: error ?? changeOf(step, slot) }];
    case "ioeventfd":
      return [{ group: "KVM_IOEVENTFD", name: error ?? askedKind(step) }];
    case "get-dirty-log":
      return [
        {
          group: "other calls",
          name: ["KVM_GET_DIRTY_LOG", ...(error === undefined ? [] : [error])].join(": "),
        },
      ];
    case "discard":
      return [{ group: "other calls", name: "MADV_DONTNEED" }];
    default:
      return outcomesOf(events, signalled).map((name) => ({ group: "outcome", name }));
  }
}

function sizeText(size: number): string {
  return size === 1 ? "1 byte" : `${size} bytes`;
}

function changeOf({ gpa, size, flags }: SetMemory, slot: SetMemory | undefined): string {
  if (size === 0) return "slot deleted";
  if (slot === undefined) return (flags & KVM_MEM_READONLY) !== 0 ? "read-only slot created" : "slot created";
  if (slot.gpa !== gpa) return "slot moved";
  return slot.flags === flags ? "nothing changed" : "flags changed";
}

function askedKind({ len, flags }: AskIoeventfd): string {
  if ((flags & KVM_IOEVENTFD_FLAG_DEASSIGN) !== 0) return "deassigned";
  return kindOf((flags & KVM_IOEVENTFD_FLAG_PIO) !== 0, len, (flags & KVM_IOEVENTFD_FLAG_DATAMATCH) === 0);
}

function kindOf(isPort: boolean, length: number, wildcard: boolean): string {
  const kind = length === 0 ? "any length" : wildcard ? "a length" : "datamatch";
  return isPort ? `port, ${kind}` : kind;
}

function placesOf(step: GuestStep, vm: Svm): string[] {
  const { op, address, size, count } = step;
  if (isPortOp(op)) return ["port"];
  const iterations = INSTRUCTION_FORMS[op].repeated ? Math.max(count, 1) : 1;
  const first = Math.floor(address / PAGE);
  const last = Math.floor((address + size * iterations - 1) / PAGE);
  const grounds = new Set<string>();
  for (let gfn = first; gfn <= last; gfn++) grounds.add(groundOf(vm, gfn));
  const pages = grounds.size > 1 ? ["two kinds of pages"] : first === last ? [] : ["two pages"];
  return [...grounds, ...pages];
}

function groundOf(vm: Svm, gfn: number): string {
  const slot = vm.findMemslot(gfn);
  if (slot === undefined) return "no slot";
  return slot.readonly ? "read-only slot" : "writable slot";
}

function outcomesOf(events: readonly OutcomeEvent[], signalled: readonly Ioeventfd[]): string[] {
  const signals = signalled.map(
    ({ bus, length, wildcard }) => `signal, ${kindOf(bus === KVM_PIO_BUS, length, wildcard)}`,
  );
  const toUserspace = events.some(({ kind }) => kind === "mmio" || kind === "io");
  if (signals.length === 0) return [toUserspace ? "userspace alone" : "neither"];
  return [
    ...signals,
    ...(signals.length > 1 ? ["several signals"] : []),
    ...(toUserspace ? ["signal and userspace"] : []),
  ];
}
