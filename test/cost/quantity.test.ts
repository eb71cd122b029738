import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import { parseInput } from "../../src/cost/input.js";
import { choice, difference, measure, quantity } from "../../src/cost/quantity.js";

const time = { value: 50, unit: "core cycles", range: [46, 52], tag: "measured", source: "a dump" };
const latency = quantity("core cycles", "ns");
const read = (of: unknown) => parseInput(latency, of, "cpu.json");

describe("a quantity", () => {
  it("has its range as low and high once it is read", () => {
    const { range, ...rest } = time;
    expect(read(time)).toEqual({ ...rest, low: 46, high: 52 });
  });

  it.each(["value", "unit", "range", "tag", "source"] as const)("without its %s is refused", (field) => {
    const { [field]: _, ...rest } = time;
    expect(() => read(rest)).toThrow(`cpu.json: ${field}: is missing`);
  });

  it.each([
    [
      "in another unit",
      { unit: "TSC cycles" },
      /unit: "TSC cycles" is not allowed; allowed: one of core cycles, ns/,
    ],
    ["known in another way", { tag: "guessed" }, /tag: .*; allowed: one of measured, derived, assumed/],
    ["whose source is empty", { source: "" }, /source: "" is not allowed; allowed: who says so and where/],
    ["below its range", { value: 45 }, /allowed: a value within its range, \[low, high\]/],
    ["above its range", { value: 53 }, /allowed: a value within its range, \[low, high\]/],
    ["with a range that is turned round", { range: [52, 46] }, /allowed: a value within its range/],
    ["with a range of one end", { range: [46] }, /range/],
    [
      "that is negative",
      { value: -1, range: [-2, 0] },
      /value: -1 is not allowed; allowed: a figure, 0 or more/,
    ],
    [
      "whose range is negative",
      { range: [-1, 52] },
      /range\[0\]: -1 is not allowed; allowed: a figure, 0 or more/,
    ],
    ["that is null", { value: null }, /value: null is not allowed/],
    ["that is text", { value: "50" }, /value: "50" is not allowed/],
    ["without end", { range: [46, Number.POSITIVE_INFINITY] }, /range\[1\]: Infinity is not allowed/],
    ["with a field that nobody knows", { comment: "" }, /comment: is an unknown field/],
  ])("%s is refused", (_, change, message) => {
    expect(() => read({ ...time, ...change })).toThrow(message);
  });

  it("may stand at either end of its range, and is read just when it is within", () => {
    fc.assert(
      fc.property(fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9)), ([low, value, high]) => {
        const { success } = latency.safeParse({ ...time, value, range: [low, high] });
        expect(success).toBe(low <= value && value <= high);
      }),
    );
  });
});

describe("a difference", () => {
  const extra = { ...time, value: 0, unit: "TSC cycles", range: [-200, 300] };
  const differenceOf = difference("TSC cycles");

  it("may be less than nothing", () => {
    expect(parseInput(differenceOf, extra, "kvm.json")).toMatchObject({ low: -200, value: 0, high: 300 });
  });

  it("lies within its range as any quantity", () => {
    expect(() => parseInput(differenceOf, { ...extra, value: -201 }, "kvm.json")).toThrow("within its range");
  });
});

describe("a measure", () => {
  const sizes = measure(z.strictObject({ entries: z.number(), ways: z.number() }).nullable(), "entries");
  const store = (entries: number, ways: number) => ({ entries, ways });
  const isRead = (value: unknown, ...range: unknown[]) =>
    sizes.safeParse({ value, unit: "entries", range, tag: "assumed", source: "nobody" }).success;

  it("lies within its range with each of its parts", () => {
    expect(isRead(store(1536, 12), store(1536, 6), store(1536, 12))).toBe(true);
    expect(isRead(store(1024, 12), store(1536, 6), store(1536, 12))).toBe(false);
    expect(isRead(store(1536, 16), store(1536, 6), store(1536, 12))).toBe(false);
  });

  it("may be null, which is less than all others", () => {
    expect(isRead(null, null, null)).toBe(true);
    expect(isRead(null, null, store(8, 4))).toBe(true);
    expect(isRead(store(2, 2), null, store(8, 4))).toBe(true);
  });

  it("is refused where only one of value and range is null", () => {
    expect(isRead(null, store(1, 1), store(8, 4))).toBe(false);
    expect(isRead(store(2, 2), null, null)).toBe(false);
    expect(isRead(store(16, 4), null, store(8, 4))).toBe(false);
    expect(isRead(store(2, 2), store(1, 1), null)).toBe(false);
  });

  it("of a single number lies within two", () => {
    const bits = measure(z.number().int(), "bits");
    const of = (value: number) => ({
      value,
      unit: "bits",
      range: [36, 46],
      tag: "assumed",
      source: "nobody",
    });
    expect([36, 46].map((value) => bits.safeParse(of(value)).success)).toEqual([true, true]);
    expect([35, 47].map((value) => bits.safeParse(of(value)).success)).toEqual([false, false]);
  });

  it("has one unit", () => {
    const of = { value: null, unit: "bytes", range: [null, null], tag: "assumed", source: "nobody" };
    expect(() => parseInput(sizes, of, "cpu.json")).toThrow('cpu.json: unit: "bytes" is not allowed');
  });
});

describe("a choice", () => {
  const policy = choice(z.enum(["lru", "fifo", "random"]), "policy");
  const isRead = (value: unknown, range: unknown[]) =>
    policy.safeParse({ value, unit: "policy", range, tag: "assumed", source: "nobody" }).success;

  it("is one of those that its range lists", () => {
    expect([isRead("lru", ["lru"]), isRead("random", ["lru", "random"])]).toEqual([true, true]);
    expect([isRead("fifo", ["lru", "random"]), isRead("lru", [])]).toEqual([false, false]);
  });

  it("has no range of words that the model does not know", () => {
    expect(isRead("lru", ["lru", "clock"])).toBe(false);
  });
});
