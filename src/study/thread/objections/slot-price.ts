/**
 * What was not said: a read-only slot behind the doorbells has a price that MMIO without a slot does not have. It is made and
 * deleted, which changes the generation of the slots and drops what KVM's tables hold; it needs host memory; and a kick may look
 * for it.
 */
import { occurrences } from "../../../cost/counts.js";
import { loadCpu } from "../../../cost/cpu-profile.js";
import { primitiveCosts } from "../../../cost/primitive-costs.js";
import { linearBounds } from "../../../cost/uncertainty.js";
import { PAGE } from "../../../x86/mmu.js";
import { studyCommand } from "../../command.js";
import { conditionsOf } from "../../conditions.js";
import { provenanceOf } from "../../provenance.js";
import type { Interval, Provenance } from "../../result.js";
import { run } from "../../run/run.js";
import type { Scenario } from "../../run/scenario.js";
import { type DesignName, designOf } from "../designs.js";
import { QUEUES, type Setting, scenarioOf } from "../setting.js";
import { type ObjectionOptions, settingOf } from "./setting.js";
import {
  type MeasuredEvent,
  measureEvent,
  SLOT_EVENTS,
  SLOT_KERNELS,
  type SlotEvent,
  type SlotKernel,
  scenarioOfSlot,
  updatesToWrap,
} from "./slot-events.js";

/** What a kick of a design pays for the slot's being there. */
export interface SlotKick {
  readonly design: DesignName;
  readonly memslotLookups: number;
  readonly faultPaths: number;
  /** TSC cycles of both. */
  readonly cycles: Interval;
  /** Host memory behind the pages of all doorbells, bytes; the host fills a page when the guest first reads it. */
  readonly hostBytes: number;
}

/**
 * TSC cycles of the guest per kick, where the slot is deleted and made again so often, and there are as many pages of other doorbells,
 * and of devices in userspace, as of these doorbells.
 */
export interface RecreationPoint {
  readonly kernel: SlotKernel;
  readonly perMillionKicks: number;
  /** Pages of RAM in use. */
  readonly ramPages: number;
  readonly perKick: Interval;
}

/** Plain data, JSON-serialisable. */
export interface SlotPriceStudy {
  readonly provenance: Provenance;
  readonly machine: string;
  readonly events: readonly SlotEvent[];
  readonly kicks: readonly SlotKick[];
  readonly doorbells: number;
  readonly recreations: readonly RecreationPoint[];
  /** Updates after the machine was made until one drops all tables because the generation wraps; null: none of so many did. */
  readonly wraps: readonly {
    readonly kernel: SlotKernel;
    readonly updates: number | null;
    readonly of: number;
  }[];
  /** For the verdict table. */
  readonly verdict: string;
}

export const RECREATIONS = [1, 10, 100, 1000] as const;
/** None, 16 Mbyte, 1 Gbyte. */
export const RAM_PAGES = [0, 4096, 262_144] as const;

const WHAT = "studySlotPrice";
const ACCESSES = 2000;
/** More than the kernels begin before the first wrap-around. */
const UPDATES = 1000;
const MBYTE = 2 ** 20;
const SLOT_DESIGNS = ["base-4.2", "rfc", "bad-page", "write-mostly", "base-6.19", "repaired"] as const;

/** @throws InputError that names the option, its value and what is allowed */
export function studySlotPrice(options: ObjectionOptions = {}): SlotPriceStudy {
  const setting = settingOf(options, ACCESSES, WHAT);
  const scenarios = SLOT_KERNELS.map((kernel) => scenarioOfSlot(kernel, setting));
  const measured = scenarios.flatMap((scenario) => SLOT_EVENTS.map((event) => measureEvent(scenario, event)));
  const kicks = SLOT_DESIGNS.map((design) => kickOf(design, setting));
  const events = measured.map(({ event }) => event);
  const recreationOf = (kernel: SlotKernel) =>
    measured.find(({ event }) => event.kernel === kernel && event.event === "recreate") as MeasuredEvent;
  const recreations = SLOT_KERNELS.flatMap((kernel) =>
    RAM_PAGES.flatMap((ramPages) =>
      RECREATIONS.map((perMillionKicks) => ({
        kernel,
        perMillionKicks,
        ramPages,
        perKick: perKickOf(recreationOf(kernel), ramPages, perMillionKicks),
      })),
    ),
  );
  return {
    provenance: provenanceOf({
      seed: setting.seed,
      conditions: conditionsOf([...scenarios, ...kicks.map(({ scenario }) => scenario)]),
      command: studyCommand("slot-price", options),
    }),
    machine: loadCpu(setting.cpu).model,
    events,
    kicks: kicks.map(({ kick }) => kick),
    doorbells: QUEUES,
    recreations,
    wraps: scenarios.map((scenario) => ({
      kernel: scenario.kernel as SlotKernel,
      updates: updatesToWrap(scenario, UPDATES),
      of: UPDATES,
    })),
    verdict: verdictOf(
      events,
      kicks.map(({ kick }) => kick),
      recreations,
    ),
  };
}

function perKickOf(
  { costs, times: { doorbell, device, ram } }: MeasuredEvent,
  ramPages: number,
  perMillionKicks: number,
): Interval {
  const times = costs.map((_, index) => QUEUES * (doorbell[index] + device[index]) + ramPages * ram[index]);
  return linearBounds(
    costs,
    times.map((n) => (n * perMillionKicks) / 1e6),
  );
}

/** The steps of a fault that ask for the slot of its page. */
const FAULT_PATH = ["tdpPageFault", "fastPageFault"] as const;

function kickOf(
  design: DesignName,
  setting: Setting,
): { readonly scenario: Scenario; readonly kick: SlotKick } {
  const { kernel, slot } = designOf(design);
  const { scenario, counts, accesses } = run(scenarioOf(designOf(design), setting));
  const costs = primitiveCosts(loadCpu(setting.cpu), kernel);
  const names = ["memslotLookup", ...FAULT_PATH];
  const asked = Object.fromEntries(names.map((name) => [name, counts[name] / accesses]));
  return {
    scenario,
    kick: {
      design,
      memslotLookups: asked.memslotLookup,
      faultPaths: FAULT_PATH.reduce((sum, name) => sum + asked[name], 0),
      cycles: linearBounds(costs, occurrences(costs, asked)),
      hostBytes: slot === "none" ? 0 : QUEUES * PAGE,
    },
  };
}

function verdictOf(
  events: readonly SlotEvent[],
  kicks: readonly SlotKick[],
  recreations: readonly RecreationPoint[],
): string {
  const deleted = (kernel: SlotKernel) =>
    events.find((event) => event.kernel === kernel && event.event === "delete") as SlotEvent;
  const [old, now] = SLOT_KERNELS.map((kernel) => deleted(kernel).perPage.ram.exits.toFixed(0));
  const lookups = kicks
    .filter(({ memslotLookups }) => memslotLookups > 0)
    .map(({ design, memslotLookups }) => `${design} ${memslotLookups.toFixed(0)}`);
  const worst = recreations.filter(
    ({ kernel, ramPages, perMillionKicks }) =>
      kernel === "v4.2" && ramPages === RAM_PAGES[1] && perMillionKicks === 1,
  )[0].perKick;
  const hostBytes = Math.max(...kicks.map((kick) => kick.hostBytes));
  return (
    `${hostBytes} bytes for ${QUEUES} doorbells; slot look-ups per kick: ${lookups.join(", ") || "none"}. Deleting the slot costs each ` +
    `RAM page in use ${old} fault on v4.2 and ${now} on v6.19: with ${(RAM_PAGES[1] * PAGE) / MBYTE} Mbyte in use ` +
    `${worst.low.toFixed(1)} to ${worst.high.toFixed(1)} cycles per kick at one recreation per million kicks.`
  );
}
