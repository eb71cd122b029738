/**
 * A figure of a data file as it can be defended: value, unit, range, how it is known, and by whom. Nothing is read without
 * them. In the files the range is `[low, high]`; of what is no number it lists the values that it can be.
 */
import { isDeepStrictEqual } from "node:util";
import * as z from "zod";
import { number, oneOf, text } from "./input.js";

/** How a value is known: read in the named source, arithmetic on such values, or neither. */
export const TAGS = ["measured", "derived", "assumed"] as const;
export type Tag = (typeof TAGS)[number];

/** How what rests on both is known. */
export function weaker(one: Tag, other: Tag): Tag {
  return TAGS[Math.max(TAGS.indexOf(one), TAGS.indexOf(other))];
}

/** Times. They are three units: the clock of a core changes, and that of the time-stamp counter does not. */
export const TIME_UNITS = ["TSC cycles", "core cycles", "ns"] as const;

export interface Quantity {
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly unit: string;
  readonly tag: Tag;
  readonly source: string;
}

export const tag = oneOf(TAGS);
export const source = text("who says so and where, or why it is assumed");

const finite = number("a figure", "a finite number", Number.isFinite);
const notNegative = number("a figure", "0 or more", (value) => value >= 0);

/** A number in one of some units. @param allowed numbers that it may be: a difference may be negative */
function quantityOf<const U extends readonly string[]>(units: U, allowed: z.ZodType<number>) {
  return z
    .strictObject({ value: allowed, unit: oneOf(units), range: z.tuple([allowed, allowed]), tag, source })
    .refine(({ value, range: [low, high] }) => low <= value && value <= high, {
      error: "a value within its range, [low, high]",
    })
    .transform(({ range: [low, high], ...rest }) => ({ ...rest, low, high }));
}

export function quantity<const U extends readonly string[]>(...units: U) {
  return quantityOf(units, notNegative);
}

/** As `quantity`, of what may be less than nothing. */
export function difference<const U extends readonly string[]>(...units: U) {
  return quantityOf(units, finite);
}

/** A whole, or null for what is not there, whose parts each lie within the ends of the range. */
export function measure<T extends z.ZodType>(value: T, unit: string) {
  return z.strictObject({ value, unit: z.literal(unit), range: z.tuple([value, value]), tag, source }).refine(
    (of) => {
      const { value: found, range } = of as { value: unknown; range: readonly [unknown, unknown] };
      return isWithin(found, ...range);
    },
    { error: "a value within its range, [low, high]" },
  );
}

/** One of several possibilities, which the range lists. */
export function choice<T extends z.ZodType>(value: T, unit: string) {
  return z.strictObject({ value, unit: z.literal(unit), range: z.array(value).min(1), tag, source }).refine(
    (of) => {
      const { value: found, range } = of as { value: unknown; range: readonly unknown[] };
      return range.some((possible) => isDeepStrictEqual(possible, found));
    },
    { error: "a value that is in its range, the list of what it can be" },
  );
}

/** null is the least that there can be. */
function isWithin(value: unknown, low: unknown, high: unknown): boolean {
  if (low === null) return value === null || (high !== null && isWithin(value, value, high));
  if (value === null || high === null) return false;
  if (typeof value === "number") return Number(low) <= value && value <= Number(high);
  const [lows, highs] = [low as Record<string, unknown>, high as Record<string, unknown>];
  return Object.entries(value as object).every(([key, part]) => isWithin(part, lows[key], highs[key]));
}
