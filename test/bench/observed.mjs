/**
 * What it costs to watch a run: to check its semantics, to record its events. The guest of a row runs as `run()` has it,
 * watched and not, and counts the same each time.
 */
import { Trace } from "../../dist/kvm/trace.js";
import { DrawnGuest } from "../../dist/study/run/drawn-guest.js";
import { Machine } from "../../dist/study/run/machine.js";
import { Semantics } from "../../dist/study/run/semantics.js";
import { guestRow } from "./guest-rows.mjs";
import { processorTime } from "./processor-time.mjs";

/**
 * @typedef {import("./measure.mjs").Row} Row
 * @typedef {import("./measure.mjs").Side} Side
 * @typedef {(machine: Machine, guest: DrawnGuest) => void} Watch attaches what watches
 */

const INSTRUCTIONS = 200_000;

/** @type {Watch} */
const nobody = () => {};

/** @type {Watch} */
const checks = (machine, guest) => {
  guest.semantics = new Semantics(machine, (page) => guest.frameOf(page));
};

/** @type {Watch} */
const records = ({ vm }) => {
  vm.trace = new Trace();
};

/**
 * Checked, a run may take half as long again.
 *
 * @param {string} guest name of the row whose guest it is
 * @param {number} [iterations]
 * @returns {Row}
 */
export function checkedRow(guest, iterations = INSTRUCTIONS) {
  const sides = [side("off", { guest, iterations }), side("checked", { guest, iterations, during: checks })];
  return { ...rowOf(`${guest}, semantics`, guest, sides), bounds: [0, 1.5] };
}

/**
 * The third side had its events recorded in its warm-up and has it no longer: it is to be as fast as the first.
 *
 * @param {string} guest
 * @param {number} [iterations]
 * @returns {Row}
 */
export function recordedRow(guest, iterations = INSTRUCTIONS) {
  const sides = [
    side("off", { guest, iterations }),
    side("recorded", { guest, iterations, during: records }),
    side("off again", { guest, iterations, before: records }),
  ];
  return rowOf(`${guest}, events`, guest, sides);
}

/**
 * @param {string} name
 * @param {string} guest
 * @param {readonly Side[]} sides
 * @returns {Row}
 */
function rowOf(name, guest, sides) {
  const { isTrue } = guestRow(guest);
  return {
    name,
    unit: "ns",
    of: "instruction",
    runs: 7,
    sides,
    alike: true,
    isTrue: ({ instructions, signals, ...counts }) => isTrue(counts, instructions, signals),
  };
}

/**
 * @param {string} name
 * @param {{ guest: string, iterations: number, before?: Watch, during?: Watch }} how the watch before the run is timed, and
 *   while it is
 * @returns {Side}
 */
function side(name, { guest, iterations, before = nobody, during = nobody }) {
  const { scenario } = guestRow(guest);
  const run = () => {
    const machine = new Machine(scenario(iterations), guest);
    const { vm } = machine;
    const drawn = new DrawnGuest(machine);
    before(machine, drawn);
    drawn.execute(machine.scenario.warmup);
    vm.trace = null;
    vm.ledger.reset();
    during(machine, drawn);
    const earlier = sum(machine.signals());

    const start = processorTime();
    const instructions = drawn.execute(iterations);
    const time = (processorTime() - start) / instructions;
    return {
      time,
      did: { instructions, signals: sum(machine.signals()) - earlier, ...vm.ledger.toRecord() },
    };
  };
  return { name, run };
}

/** @param {readonly number[]} numbers */
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
