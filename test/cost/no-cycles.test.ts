/**
 * The house rule: figures of time are data. A file of `data/` gives each its unit, range, tag and source; a number in the
 * code has none of them. What is looked at is the code as a parser reads it, so comments may quote what they like.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAst } from "rolldown/parseAst";
import { describe, expect, it } from "vitest";
import { loadCpu } from "../../src/cost/cpu-profile.js";
import { primitiveCosts } from "../../src/cost/primitive-costs.js";
import { PRIMITIVES } from "../../src/kvm/primitives.js";

const SRC = join(import.meta.dirname, "../../src");

/** How numbers begin that belong to a time and are none. */
const NO_FIGURES = [
  "cost/exit-times.ts: NANOSECONDS = 9", // digits after the point of a second
  "cost/exit-times.ts: resolutionUs = 1e6 / 10 ** fraction.length", // microseconds of a second
  "cost/exit-times.ts: (time - meanUs) ** 2",
  "kvm/primitive-indexes.ts: exitVmcall = DATA_REF + 4", // levels of the memory hierarchy
  "report/load-latency.ts: CYCLE_TICKS = [", // of an axis
  "report/thread/rates.ts: cycles.low / 1e6", // in millions
  "report/thread/rates.ts: cycles.high / 1e6",
  "study/compare/measured.ts: PERF_ROUNDING_US = 0.005", // half of the last digit that perf prints
  "study/exits.ts: (cycles - mean) ** 2",
];

/** The numbers, but 0, 1 and 2, in the folder that turns counts into cycles: none is a figure of time. */
const IN_COST = {
  "break-even.ts": [4], // digits that are shown
  "calibration.ts": [0.01, 1e-6, 3, 1e-9], // by how much a published row may be off; rounding
  "clock.ts": [1e3], // MHz in GHz, cycles per ns
  "cpu-profile.ts": [36, 52], // bits of a physical address
  "exit-times.ts": [9, 1e6, 10, 1000], // digits and units of a second
  "measurements.ts": [1000], // MHz in GHz
  "perf-kvm-stat.ts": [100], // per cent
  "quasi-random.ts": [32, 20, 31, 0x9e37_79b9, 16, 0x85eb_ca6b, 13, 0xc2b2_ae35], // bits, and a hash
  "sensitivity.ts": [1e-12], // rounding
  "uncertainty.ts": [1e-9, 0.05, 0.5, 0.95], // rounding, quantiles
  "vmexit-output.ts": [31], // bits of an int
  "whole-lines.ts": [120], // characters of a line that is quoted
};

/** Names of what takes time: cyclesPerExit, L3_LATENCY, walkNs. */
const TIME = /cycle|latency|latencies|cost|overhead|penalty|nanosec|microsec/i;
const UNIT_OF_TIME = /(^|_)(ns|us|NS|US)$|[a-z0-9](Ns|Us)$/;
const isTime = (name: string) => TIME.test(name) || UNIT_OF_TIME.test(name);

const costs = primitiveCosts(loadCpu("sandy-bridge-ep"), "v4.2").map(({ name }) => name);
const priced: ReadonlySet<string> = new Set([...PRIMITIVES, ...costs]);
const isTimeOrPriced = (name: string) => isTime(name) || priced.has(name);

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is Node => typeof (value as Node | null)?.type === "string";

function childrenOf(node: Node): Node[] {
  return Object.values(node).flat().filter(isNode);
}

function allIn(node: Node): Node[] {
  return [node, ...childrenOf(node).flatMap(allIn)];
}

const isNumber = ({ type, value }: Node) => type === "Literal" && typeof value === "number";
/** Calls, and functions that are only made, are other expressions. */
const isOther = ({ type }: Node) => /Call|New|Function/.test(type);

/** The numbers that make up a value. 0 and 1 are no figures: they are nothing, and one of it. */
function figuresIn(node: Node): Node[] {
  if (isNumber(node)) return node.value === 0 || node.value === 1 ? [] : [node];
  return isOther(node) || node.type === "MemberExpression" ? [] : childrenOf(node).flatMap(figuresIn);
}

/** Names that say what a value is: of `cpu.latency.L1` all three, of `costs.length` none, of `counts[KVM.vmread]` "counts". */
function namesOf(node: Node): string[] {
  const { type, name, value, object, property, computed } = node;
  if (type === "Identifier") return [String(name)];
  if (type === "Literal") return typeof value === "string" ? [value] : [];
  if (type !== "MemberExpression" || !isNode(object) || !isNode(property))
    return isOther(node) ? [] : childrenOf(node).flatMap(namesOf);
  if (computed === true) return namesOf(object);
  return property.name === "length" ? [] : [...namesOf(object), ...namesOf(property)];
}

/** Whether a node gives a number to what is named as a time, a primitive or a cost, or reckons with it and a time. */
function holdsFigure({ type, id, init, key, value, left, right, elements }: Node): boolean {
  const has = (named: unknown, of: unknown, isSuch: (name: string) => boolean) =>
    isNode(named) && isNode(of) && namesOf(named).some(isSuch) && figuresIn(of).length > 0;
  if (type === "VariableDeclarator") return has(id, init, isTimeOrPriced);
  if (type === "Property" || type === "PropertyDefinition") return has(key, value, isTimeOrPriced);
  // An entry of a map.
  if (type === "ArrayExpression" && Array.isArray(elements) && elements.length === 2)
    return elements[0]?.type === "Literal" && has(elements[0], elements[1], isTimeOrPriced);
  return /^(Assignment|Binary|Logical)/.test(type) && (has(left, right, isTime) || has(right, left, isTime));
}

function parse(text: string): Node[] {
  return allIn(parseAst(text, { lang: "ts" }) as unknown as Node);
}

function figuresOf(text: string): string[] {
  return parse(text)
    .filter(holdsFigure)
    .map(({ start, end }) => text.slice(start, end));
}

const files = readdirSync(SRC, { recursive: true, encoding: "utf8" })
  .filter((file) => /\.(ts|mjs)$/.test(file))
  .map((file) => ({ file, text: readFileSync(join(SRC, file), "utf8") }));

describe("a figure of time", () => {
  it.each([
    "const exitCycles = 1200;",
    "const LATENCY = { L1: 4 };",
    "const prices = { vmread: { low: 10, high: 80 } };",
    'const prices = new Map([["exitVmcall", 1200]]);',
    "class Walk { costOfMiss = 7; }",
    "const slow = (walkNs: number) => walkNs > 50;",
    "const exit = (cost: number) => cost + 300;",
    "function exit(cycles = 1200) { return cycles; }",
  ])("would be found in %s", (text) => {
    expect(figuresOf(text)).not.toEqual([]);
  });

  it.each([
    "/** vmcall takes 1200 cycles. */ const cycles = 0;",
    "const text = (cycles: number) => cycles.toFixed(2);",
    "const last = (costs: number[], i: number) => costs[costs.length - 2] + costs[i + 3];",
    "const twoReads = (counts: number[]) => { counts[KVM.vmread] += 2; };",
  ])("is not in %s", (text) => {
    expect(figuresOf(text)).toEqual([]);
  });

  it("is given to no name in the sources", () => {
    const found = files.flatMap(({ file, text }) => figuresOf(text).map((figure) => `${file}: ${figure}`));
    const isKnown = (figure: string) => NO_FIGURES.some((known) => figure.startsWith(known));
    expect(found.filter((figure) => !isKnown(figure))).toEqual([]);
    expect(NO_FIGURES.filter((known) => !found.some((figure) => figure.startsWith(known)))).toEqual([]);
  });

  it("is not among the numbers of the folder that turns counts into cycles", () => {
    const numbers = files
      .filter(({ file }) => file.startsWith("cost/"))
      .map(({ file, text }) => {
        const all = parse(text).filter(isNumber);
        return [file.slice("cost/".length), [...new Set(all.map(({ value }) => Number(value)))]] as const;
      })
      .map(
        ([file, values]) => [file, values.filter((value) => value > 2 || !Number.isInteger(value))] as const,
      )
      .filter(([, values]) => values.length > 0);
    expect(Object.fromEntries(numbers)).toEqual(IN_COST);
  });

  it("has no name in what the processor, the hypervisor and the patches do: they count", () => {
    const found = files
      .filter(({ file }) => /^(x86|kvm|patches)\//.test(file))
      .flatMap(({ file, text }) => {
        const names = parse(text).filter(({ type }) => type === "Identifier");
        return names
          .map(({ name }) => String(name))
          .filter(isTime)
          .map((name) => `${file}: ${name}`);
      });
    expect(found).toEqual([]);
  });
});
