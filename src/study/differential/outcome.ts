/**
 * What came of a scenario: for each step what userspace and guest saw of it, and in the end what the memories hold. Two
 * outcomes are equal if all of this is.
 */
import { hex } from "./scenario.js";

export type OutcomeEvent =
  /** An ioctl: "0", or the name of its error. */
  | { readonly kind: "ioctl"; readonly result: string }
  /** Pages that KVM_GET_DIRTY_LOG told of, from the slot's first on. */
  | { readonly kind: "dirty"; readonly pages: readonly number[] }
  /** An access that came to userspace, with its bytes, little-endian: what was written, or what userspace answered. */
  | {
      readonly kind: "mmio" | "io";
      readonly write: boolean;
      /** Guest-physical address or port. */
      readonly address: number;
      readonly bytes: number;
      readonly data: bigint;
    }
  | { readonly kind: "signal"; readonly eventfd: number; readonly count: number }
  /** What a load returned, or an IN. */
  | { readonly kind: "loaded"; readonly value: bigint }
  /** The guest cannot go on. */
  | { readonly kind: "stopped"; readonly why: string };

/** An ioctl that did what it was asked for. */
export const SUCCESS: OutcomeEvent = { kind: "ioctl", result: "0" };

export interface Outcome {
  /** By step; those behind one that stopped are empty. */
  readonly steps: readonly (readonly OutcomeEvent[])[];
  /** What each memory holds in the end. */
  readonly memories: readonly Uint8Array[];
}

/** An event in a few words. */
export function eventText(event: OutcomeEvent): string {
  switch (event.kind) {
    case "ioctl":
      return event.result;
    case "dirty":
      return event.pages.length === 0 ? "no page is dirty" : `dirty pages: ${event.pages.join(", ")}`;
    case "signal":
      return `signal of eventfd ${event.eventfd}${event.count === 1 ? "" : `, ${event.count} times`}`;
    case "loaded":
      return `returns ${hex(event.value)}`;
    case "stopped":
      return `the guest stops: ${event.why}`;
    default: {
      const { kind, write, address, bytes, data } = event;
      const what = kind === "io" ? "port " : "";
      return `userspace ${write ? "gets" : "answers"} ${what}${hex(address)}, ${bytes} bytes: ${hex(data)}`;
    }
  }
}

/** Whether all of two outcomes is equal. */
export function isSame(one: Outcome, other: Outcome): boolean {
  const sameSteps = one.steps.every((events, step) => sameEvents(events, other.steps[step]));
  return sameSteps && memoryDifference(one, other) === null;
}

/** Whether a step has had the same outcome. Why a guest stops each kernel says in its own words. */
export function sameEvents(one: readonly OutcomeEvent[], other: readonly OutcomeEvent[]): boolean {
  const text = (event: OutcomeEvent) => (event.kind === "stopped" ? event.kind : eventText(event));
  return one.length === other.length && one.every((event, index) => text(event) === text(other[index]));
}

export interface MemoryDifference {
  readonly memory: number;
  readonly offset: number;
  /** The byte in the one and in the other. */
  readonly bytes: readonly [one: number, other: number];
}

/** The first byte of a memory that is another in the other outcome; null: none. */
export function memoryDifference(one: Outcome, other: Outcome): MemoryDifference | null {
  for (const [memory, bytes] of one.memories.entries()) {
    const others = other.memories[memory];
    const offset = bytes.findIndex((byte, at) => byte !== others[at]);
    if (offset >= 0) return { memory, offset, bytes: [bytes[offset], others[offset]] };
  }
  return null;
}
