/**
 * What the device model does while the guest runs: it reads and switches the dirty log, and replaces memory slots. The guest
 * stands still meanwhile.
 */
import type { Machine } from "./machine.js";
import type { Scenario } from "./scenario.js";

type Action = Scenario["userspace"][number];

export class Userspace {
  /** Instructions of a vCPU so far, and at which of them each action is due. */
  private now = 0;
  private readonly due: number[];
  private readonly logged: boolean[];

  constructor(private readonly machine: Machine) {
    const { userspace, memslots } = machine.scenario;
    this.due = userspace.map(({ every }) => every);
    this.logged = memslots.map(({ logDirtyPages }) => logDirtyPages);
  }

  /** Instructions until the next action; Infinity where there is none. */
  get wait(): number {
    return this.due.reduce((least, due) => Math.min(least, due - this.now), Number.POSITIVE_INFINITY);
  }

  /** Each vCPU has executed so many instructions, no more than `wait`: what is due now is done, in order. */
  advance(instructions: number): void {
    this.now += instructions;
    this.machine.scenario.userspace.forEach((action, index) => {
      if (this.due[index] > this.now) return;
      this.due[index] += action.every;
      this.act(action);
    });
  }

  act({ action, slot }: Action): void {
    const { machine, logged } = this;
    const { size } = machine.scenario.memslots[slot];
    switch (action) {
      case "get-dirty-log":
        machine.vm.kvmGetDirtyLog(slot);
        return;
      case "toggle-dirty-log":
        logged[slot] = !logged[slot];
        machine.setMemslot(slot, size, logged[slot]);
        return;
      default:
        machine.setMemslot(slot, 0, false);
        machine.setMemslot(slot, size, logged[slot]);
    }
  }
}
