/**
 * What surrounds the doorbell in a study of the thread: the guest's mix, the host's state, the processor. A setting and a
 * design make a scenario.
 */
import { exitFootprints } from "../../cost/exit-footprint.js";
import type { Waiter } from "../../kvm/ioeventfd.js";
import { PAGE } from "../../x86/mmu.js";
import type { ScenarioInput } from "../run/scenario.js";
import type { Design } from "./designs.js";

/** What the handling of an exit leaves of the walk's structures: all of them, none, or what its own footprint leaves. */
export const WALK_STATES = ["hot", "footprint", "cold"] as const;
export type WalkState = (typeof WALK_STATES)[number];

export interface Setting {
  /** A name in `data/cpus`, of the design's vendor. */
  readonly cpu: string;
  /** Behind the doorbell pages, in place of what the design wants. Ports have none. */
  readonly slot?: "none" | "read-only";
  /** Reads among the accesses to doorbells, 0 to below 1. */
  readonly readShare: number;
  /** First touches of a page of RAM for each access to a doorbell. */
  readonly faultsPerKick: number;
  /** Ioeventfds on the bus that is asked: those of the doorbells among them. */
  readonly busSize: number;
  readonly perPage: 1 | 4 | 16;
  readonly walkState: WalkState;
  readonly vcpus: number;
  readonly waiter: Waiter;
  /** Instructions of each vCPU that count, and those before. */
  readonly accesses: number;
  readonly warmup: number;
  readonly seed: number;
}

export const USUAL_SETTING: Setting = {
  cpu: "haswell-ep-e5-2660v3",
  readShare: 0,
  faultsPerKick: 0,
  busSize: 16,
  perPage: 1,
  walkState: "footprint",
  vcpus: 1,
  waiter: "poller",
  accesses: 20_000,
  warmup: 1000,
  seed: 1,
};

const MBYTE = 2 ** 20;

/** Queues of the device: one doorbell each. */
export const QUEUES = 16;
/** Bytes of a kick. */
const KICK = 2;

/** The guest's paging structures lie in the last slot that is writable, and RAM that is touched page by page before it. */
const TABLES = { gpa: 0, size: 16 * MBYTE, backing: "2M" } as const;
const RAM = 2 ** 32;
/** Pages are so far apart that no fault maps the page of another. */
const STRIDE = 16 * PAGE;
export const DOORBELLS = 0xfebf_0000;
export const OTHERS = 0xe000_0000;
const PORT = 0xc000;
const OTHER_PORTS = 0x2000;

/** The scenario of a design in a setting. Sizes are such that RAM is touched for the first time in the whole run. */
export function scenarioOf(design: Design, setting: Setting): ScenarioInput {
  const { cpu, readShare, faultsPerKick, busSize, perPage, walkState, vcpus, waiter } = setting;
  const { accesses, warmup, seed } = setting;
  const { pio, length, kernel, patches } = design;
  const touches = Math.ceil((accesses + warmup) * (faultsPerKick / (1 + faultsPerKick)) * 1.2) + 64;
  const footprint = touches * STRIDE;
  const others = {
    addr: pio ? OTHER_PORTS : OTHERS,
    len: pio ? KICK : length,
    pio,
    count: Math.max(0, busSize - QUEUES),
    stride: pio ? KICK : PAGE,
  };
  return {
    name: design.name,
    cpu,
    kernel,
    patches: [...patches],
    paging: design.vendor === "AMD" ? "npt" : "ept",
    vcpus,
    guestPages: "2M",
    memslots: [...(faultsPerKick === 0 ? [] : [{ gpa: RAM, size: footprint * vcpus }]), TABLES],
    ioeventfds: [others],
    doorbells: {
      address: pio ? PORT : DOORBELLS,
      queues: QUEUES,
      perPage,
      size: KICK,
      len: pio ? KICK : length,
      pio,
      waiter,
      slot: pio ? "none" : (setting.slot ?? design.slot),
    },
    workload: [
      { op: "kick", weight: 1 - readShare, pattern: "uniform" },
      ...(readShare === 0 ? [] : [{ op: "doorbell-read", weight: readShare, pattern: "uniform" } as const]),
      ...(faultsPerKick === 0
        ? []
        : Array.from(
            { length: vcpus },
            (_, vcpu) =>
              ({
                op: "store",
                address: RAM + vcpu * footprint,
                footprint,
                stride: STRIDE,
                weight: faultsPerKick,
                vcpu,
              }) as const,
          )),
    ],
    ...(walkState === "cold" && { exitEvicts: "translations" }),
    ...(walkState === "footprint" && { exitFootprint: exitFootprints("light").value }),
    accesses,
    warmup,
    seed,
  };
}

/** Ordinary faults alone: the doorbells are there, and nobody kicks. Half of the setting's accesses, for there is RAM for no more. */
export function faultsAlone(design: Design, setting: Setting): ScenarioInput {
  const { workload = [], ...mixed } = scenarioOf(design, { ...setting, readShare: 0, faultsPerKick: 1 });
  return {
    ...mixed,
    workload: workload.filter(({ op }) => op === "store"),
    accesses: Math.floor(setting.accesses / 2),
    warmup: QUEUES,
  };
}
