/**
 * How much of the host's memory the handling of an exit touches: the assumed ranges of `data/costs/footprint.json`, as values
 * of a scenario's `exitFootprint`. No figures were found, so a study can run low, value and high.
 */
import * as z from "zod";
import { type ExitFootprint, LINES_OF_PAGE, MAX_FOOTPRINT_PAGES } from "../kvm/exit-footprint.js";
import { integer, oneOf, parseInput, readDataJson, text } from "./input.js";
import { measure } from "./quantity.js";

/** How an exit is handled: light, such as fast MMIO or a port with an ioeventfd, or with the emulation of an instruction. */
export const HANDLINGS = ["light", "emulated"] as const;
export type Handling = (typeof HANDLINGS)[number];

const touched = z.strictObject({
  lines: measure(integer(0, LINES_OF_PAGE * MAX_FOOTPRINT_PAGES, "number of lines"), "cache lines"),
  pages: measure(integer(0, MAX_FOOTPRINT_PAGES, "number of pages"), "pages"),
});

const footprintFile = z.strictObject({
  about: text("what the file holds"),
  light: touched,
  emulated: touched,
  userspaceRoundTrip: touched,
});

/** The least that is touched, the likeliest, and the most. Lines of 64 bytes and pages of 4 Kbyte. */
export interface ExitFootprints {
  readonly low: ExitFootprint;
  readonly value: ExitFootprint;
  readonly high: ExitFootprint;
}

/** The footprints of exits that are handled so. @throws InputError for another word, or a file that does not fit */
export function exitFootprints(handling: Handling): ExitFootprints {
  const file = readDataJson(footprintFile, "costs", "footprint.json");
  const kernel = file[parseInput(oneOf(HANDLINGS, "how an exit is handled"), handling, "handling")];
  const { userspaceRoundTrip: userspace } = file;
  const low = (of: Count) => of.range[0];
  const value = (of: Count) => of.value;
  const high = (of: Count) => of.range[1];
  const footprint = (end: (of: Count) => number): ExitFootprint => ({
    lines: end(kernel.lines),
    pages: end(kernel.pages),
    userspaceLines: end(userspace.lines),
    userspacePages: end(userspace.pages),
  });
  return { low: footprint(low), value: footprint(value), high: footprint(high) };
}

interface Count {
  readonly value: number;
  readonly range: readonly [low: number, high: number];
}
