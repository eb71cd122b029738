/**
 * The rows that a guest under KVM does: which scenario, what of it is done over and over, and the counts that make the row's
 * name true. The kernel is Linux 4.2, whose path is the shorter one to have twice; its fast MMIO bus is that of 6.19.
 */
import { parseScenario } from "../../dist/study/run/scenario.js";
import { designOf } from "../../dist/study/thread/designs.js";
import { DOORBELLS, QUEUES, scenarioOf, USUAL_SETTING } from "../../dist/study/thread/setting.js";

/**
 * @typedef {import("../../dist/study/run/scenario.js").Scenario} Scenario
 * @typedef {import("../../dist/study/run/scenario.js").ScenarioInput} ScenarioInput
 * @typedef {import("./processor-rows.mjs").Counts} Counts
 *
 * kick: the first instruction of the mix again and again; fresh: the host takes the page back before each access; mix: the
 * instructions of the mix as they are drawn.
 * @typedef {"kick" | "fresh" | "mix"} GuestOperation
 *
 * @typedef {object} GuestRow
 * @property {string} name
 * @property {GuestOperation} operation
 * @property {number} iterations
 * @property {(iterations: number) => Scenario} scenario its memory is as large as so many instructions need
 * @property {(counts: Counts, iterations: number, signals: number) => boolean} isTrue
 */

/** Kicks find the walk's structures as the last one left them. */
const HOT = { ...USUAL_SETTING, walkState: /** @type {const} */ ("hot"), warmup: 1000 };
/** The value of kicks that are told by it. */
const VALUE = 7;

/** RAM for faults: in pages of 4 Kbyte, enough for the tables of 64 Mbyte to be in use. */
const RAM = { gpa: 2 ** 32, size: 2 ** 26, backing: /** @type {const} */ ("4K") };

/** @type {readonly GuestRow[]} */
export const GUEST_ROWS = [
  {
    name: "port kick",
    operation: "kick",
    iterations: 2_000_000,
    scenario: () => parse(scenarioOf(designOf("pio"), HOT)),
    isTrue: (counts, n, signals) =>
      exits(counts, { exitIoInstruction: n }) && counts.fastPioOut === n && signals === n,
  },
  {
    name: "fast MMIO kick",
    operation: "kick",
    iterations: 1_000_000,
    scenario: () => parse(scenarioOf(designOf("base-4.2"), HOT)),
    isTrue: (counts, n, signals) =>
      exits(counts, { exitEptMisconfig: n }) && counts.emulateInstruction === 0 && signals === n,
  },
  {
    name: "datamatch kick",
    operation: "kick",
    iterations: 500_000,
    scenario: () => parse(datamatchKicks()),
    isTrue: (counts, n, signals) =>
      exits(counts, { exitEptMisconfig: n }) &&
      counts.emulateInstruction === n &&
      counts.datamatchCompare === n &&
      signals === n,
  },
  {
    name: "userspace kick",
    operation: "kick",
    iterations: 500_000,
    scenario: () => parse(kicksWithoutEventfd()),
    isTrue: (counts, n, signals) =>
      exits(counts, { exitEptMisconfig: n, userspaceExitMmio: n }) &&
      counts.emulateInstruction === n &&
      signals === 0,
  },
  {
    name: "RAM fault",
    operation: "fresh",
    iterations: 100_000,
    scenario: () => parse(faults()),
    isTrue: (counts, n, signals) =>
      exits(counts, { exitEptViolation: n }) &&
      counts.tdpPageFault === n &&
      counts.walkCompletedStore4K === n &&
      signals === 0,
  },
  {
    name: "mixed guest",
    operation: "mix",
    iterations: 200_000,
    scenario: (accesses) =>
      parse(scenarioOf(designOf("base-4.2"), { ...HOT, accesses, readShare: 0.1, faultsPerKick: 1 })),
    isTrue: (counts, n, signals) => {
      const { exitEptMisconfig, exitEptViolation } = counts;
      // Each instruction exits once, the kicks and reads by their MMIO SPTE. A read signals too, for the exit does not tell.
      return (
        exits(counts, { exitEptMisconfig, exitEptViolation }) &&
        exitEptMisconfig + exitEptViolation === n &&
        Math.min(exitEptMisconfig, exitEptViolation) > 0.45 * n &&
        signals === exitEptMisconfig
      );
    },
  },
];

/** @param {string} name */
export function guestRow(name) {
  const row = GUEST_ROWS.find((known) => known.name === name);
  if (row === undefined) throw new Error(`no row is called ${name}`);
  return row;
}

/** @param {ScenarioInput} input */
const parse = (input) => parseScenario(input, input.name);

/** @returns {ScenarioInput} */
function datamatchKicks() {
  const { doorbells, ...scenario } = scenarioOf(designOf("datamatch"), HOT);
  if (doorbells === undefined) throw new Error("the design has no doorbells");
  return {
    ...scenario,
    doorbells: { ...doorbells, datamatch: VALUE },
    workload: [{ op: "kick", value: VALUE }],
  };
}

/** As many ioeventfds are on the buses, but none for the address. @returns {ScenarioInput} */
function kicksWithoutEventfd() {
  const busSize = QUEUES + HOT.busSize;
  const { doorbells, ...scenario } = scenarioOf(designOf("base-4.2"), { ...HOT, busSize });
  return { ...scenario, workload: [{ op: "store", address: DOORBELLS, size: 2 }] };
}

/** @returns {ScenarioInput} */
function faults() {
  const { doorbells, memslots, ...scenario } = scenarioOf(designOf("base-4.2"), HOT);
  const { gpa, size } = RAM;
  return {
    ...scenario,
    memslots: [RAM, ...memslots],
    workload: [
      { op: "store", address: gpa, size: 8, footprint: size, stride: 4096, pattern: "uniform", fresh: true },
    ],
  };
}

/**
 * Whether these are all exits that were counted, and to userspace.
 *
 * @param {Counts} counts
 * @param {Counts} expected
 */
function exits(counts, expected) {
  const all = Object.keys(counts).filter((name) => /^(exit|userspaceExit)/.test(name));
  return all.every((name) => counts[name] === (expected[name] ?? 0));
}
