/**
 * Kicks in every state of the translations: what each does, alone and with loads of neighbours between them, which are counted
 * apart.
 *
 * Guest-physical memory from the top down: doorbells; right below them RAM, whose pages share the guest's and the EPT's upper
 * entries with them; the guest's tables at 0. The host maps RAM and tables by pages of the same size as the slot behind the
 * doorbells.
 */
import type { Counts } from "../../cost/counts.js";
import { exitFootprints } from "../../cost/exit-footprint.js";
import { ExitHandlerFootprint } from "../../kvm/exit-footprint.js";
import { INSTRUCTION_FORMS } from "../../kvm/instruction.js";
import type { GuestPageSize } from "../../workload/guest-tables.js";
import { Random } from "../../workload/random.js";
import type { Switches } from "../../x86/cpu.js";
import { PAGE } from "../../x86/mmu.js";
import { PAGES_2M } from "../../x86/tlb.js";
import { Machine } from "../run/machine.js";
import { doorbellLayout, parseScenario, type Scenario } from "../run/scenario.js";
import type { Design } from "./designs.js";
import { DOORBELLS, QUEUES, type Setting, scenarioOf, WALK_STATES, type WalkState } from "./setting.js";

/**
 * What the guest has done with the doorbells' pages before it kicks: nothing, and a design that installs no entry for a write
 * finds none for ever; or it has read another address of each, so that a read-only slot is mapped.
 */
export const PAGE_STATES = ["never touched", "populated"] as const;
export type PageState = (typeof PAGE_STATES)[number];

export const EPT_PAGES = ["4K", "2M"] as const;
export type EptPageSize = (typeof EPT_PAGES)[number];

export const NEIGHBOURHOODS = ["alone", "beside neighbours"] as const;
export type Neighbourhood = (typeof NEIGHBOURHOODS)[number];

export interface Paging {
  readonly switches: Switches;
  readonly guestPages: GuestPageSize;
  /** Size of the host's pages; an MMIO SPTE is of 4 Kbyte all the same. */
  readonly ept: EptPageSize;
}

export interface KickState {
  readonly page: PageState;
  readonly walkState: WalkState;
  readonly neighbourhood: Neighbourhood;
}

/** Per kick: what it did, and what the neighbours' loads for each kick did. */
export interface CountedKicks extends KickState {
  readonly kick: Counts;
  readonly neighbours: Counts;
}

/** The 2 Mbyte that hold the doorbells: all of it is slot where a large page maps that. Page numbers from here on. */
const FIRST_DOORBELL = DOORBELLS / PAGE;
const REGION = FIRST_DOORBELL - (FIRST_DOORBELL % PAGES_2M);
/** Neighbours: the pages of RAM from 8 Mbyte below that up to the slot, more than the second-level TLBs of the profiles hold. */
const NEIGHBOURS = REGION - 4 * PAGES_2M;
/** Bytes into a page that is read: not where its doorbell is. */
const ELSEWHERE = PAGE / 2;

/**
 * Runs a design in all states, each from empty caches of translations. The guest kicks its doorbells in turn and loads from its
 * neighbours at random, alike in every design.
 *
 * @param setting so many kicks of it count in each state, after so many that warm up; its walk state is not looked at
 * @param neighbours loads for each kick, where there are some; 0 for kicks alone only
 */
export function countKicks(
  design: Design,
  setting: Setting,
  paging: Paging,
  neighbours: number,
): { readonly scenario: Scenario; readonly states: readonly CountedKicks[] } {
  const guest = new KickingGuest(design, setting, paging, neighbours > 0);
  // In this order: a page that was touched stays so. Without a slot the first kick touches it.
  const pages = design.slot === "none" ? (["populated"] as const) : PAGE_STATES;
  const states = pages.flatMap((page) =>
    NEIGHBOURHOODS.slice(0, neighbours === 0 ? 1 : 2).flatMap((neighbourhood) =>
      WALK_STATES.map((walkState) => {
        const loads = neighbourhood === "alone" ? 0 : neighbours;
        return { page, neighbourhood, walkState, ...guest.count(page, walkState, loads) };
      }),
    ),
  );
  guest.release();
  return { scenario: guest.scenario, states };
}

/** A guest that maps to themselves its neighbours and its doorbells, and drives itself. */
class KickingGuest {
  readonly scenario: Scenario;
  private readonly machine: Machine;
  private readonly endOfNeighbours: number;
  private readonly handler = new ExitHandlerFootprint(exitFootprints("light").value);

  constructor(
    private readonly design: Design,
    private readonly setting: Setting,
    { switches, guestPages, ept }: Paging,
    hasNeighbours: boolean,
  ) {
    this.endOfNeighbours = ept === "2M" ? REGION : FIRST_DOORBELL;
    const { doorbells, memslots, ...usual } = scenarioOf(design, { ...setting, walkState: "hot" });
    const backed = doorbells?.slot === "read-only" ? { ...doorbells, backing: ept } : doorbells;
    const neighbours = { gpa: NEIGHBOURS * PAGE, size: (this.endOfNeighbours - NEIGHBOURS) * PAGE };
    this.scenario = parseScenario({
      ...usual,
      switches,
      guestPages,
      memslots: [neighbours, ...memslots].map((slot) => ({ ...slot, backing: ept })),
      ...(backed && { doorbells: backed }),
    });
    this.machine = new Machine(this.scenario, "scenario");
    const { tables } = this.machine;
    this.machine.mapping(() => tables.mapIdentity(NEIGHBOURS, FIRST_DOORBELL + QUEUES, guestPages));
    // The EPT has the tables around the doorbells from here on.
    if (design.pio) return;
    if (hasNeighbours) this.touchNeighbours();
    else this.execute("load", (this.endOfNeighbours - 1) * PAGE);
  }

  /** What kicks do, and so many loads of neighbours after each. Per kick. */
  count(page: PageState, walkState: WalkState, loads: number): Pick<CountedKicks, "kick" | "neighbours"> {
    const { vm } = this.machine;
    const { accesses, warmup, seed } = this.setting;
    vm.exitEvicts = "nothing";
    vm.exitFootprint = null;
    vm.vcpu.cpu.caches.clear();
    const random = new Random(seed);
    // The TLBs are full of neighbours.
    const held = loads === 0 ? 0 : vm.options.geometry.stlb.entries;
    for (let load = 0; load < held; load++) this.loadNeighbour(random);
    if (page === "populated") this.touchDoorbells();
    if (walkState === "cold") vm.exitEvicts = "translations";
    if (walkState === "footprint") vm.exitFootprint = this.handler;
    const kicks = new Float64Array(vm.ledger.counts.length);
    const others = new Float64Array(kicks.length);
    for (let number = 0; number < warmup + accesses; number++) {
      const isCounted = number >= warmup;
      vm.ledger.reset();
      this.kick(number % QUEUES);
      if (isCounted) add(kicks, vm.ledger.counts);
      vm.ledger.reset();
      for (let load = 0; load < loads; load++) this.loadNeighbour(random);
      if (isCounted) add(others, vm.ledger.counts);
    }
    const perKick = (sums: Float64Array) =>
      Object.fromEntries(vm.ledger.names.map((name, index) => [name, sums[index] / accesses]));
    return { kick: perKick(kicks), neighbours: perKick(others) };
  }

  release(): void {
    this.machine.release();
  }

  private touchNeighbours(): void {
    for (let page = NEIGHBOURS; page < this.endOfNeighbours; page++) this.execute("load", page * PAGE);
  }

  /** Ports have no page. */
  private touchDoorbells(): void {
    if (this.design.pio) return;
    for (let queue = 0; queue < QUEUES; queue++)
      this.execute("load", (FIRST_DOORBELL + queue) * PAGE + ELSEWHERE);
  }

  private kick(queue: number): void {
    const { doorbells } = this.scenario;
    if (doorbells === undefined) throw new Error("a design has doorbells");
    const { address, pio } = doorbells;
    this.execute(pio ? "out" : "store", address + queue * doorbellLayout(doorbells).stride, doorbells.size);
  }

  private loadNeighbour(random: Random): void {
    this.execute("load", (NEIGHBOURS + random.below(this.endOfNeighbours - NEIGHBOURS)) * PAGE);
  }

  private execute(op: "load" | "store" | "out", address: number, size = 1): void {
    const { vm } = this.machine;
    const { instruction } = vm.vcpu;
    instruction.form = INSTRUCTION_FORMS[op];
    instruction.page = Math.floor(address / PAGE);
    instruction.offset = address % PAGE;
    instruction.port = address;
    instruction.size = size;
    vm.execute();
  }
}

function add(sums: Float64Array, counts: Float64Array): void {
  for (let index = 0; index < sums.length; index++) sums[index] += counts[index];
}
