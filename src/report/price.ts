/**
 * The price of a run for a mail: under which conditions, how many cycles, and every cost in them with its source.
 */

import type { Cycles, FreePrimitive, PricedCost } from "../cost/price.js";
import { CATEGORIES, type Category } from "../cost/primitive-costs.js";
import type { PriceConditions, RunPrice } from "../study/price.js";
import { cycles, range, smallCycles } from "./format.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, MAIL_WIDTH, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";

const UNIT = "TSC cycles per access";

/** One record per cost that occurs; times and cycles per access, `each` of one occurrence, in TSC cycles. */
export function tablePrice({ items }: RunPrice): Records {
  return items.map(({ cost, category, primitives, times, each, cycles: of, tag, source }) => ({
    cost,
    category,
    times,
    eachLow: each.low,
    each: each.value,
    eachHigh: each.high,
    low: of.low,
    cycles: of.value,
    high: of.high,
    tag,
    primitives: primitives.join(" "),
    source,
  }));
}

/** Conditions, cycles by category, the list of costs and their sources, for a mail. TSC cycles per access. */
export function priceTable(price: RunPrice): string {
  return mail({ provenance: price.provenance, head: priceHead(price), parts: priceParts(price) });
}

export function priceHead({ conditions }: RunPrice): string[] {
  return [`Machine: ${machineText(conditions)}`, ...fittedText(conditions)];
}

/** The tables and what is to be said of them. */
export function priceParts(price: RunPrice): string[] {
  const { conditions, perAccess, byCategory, items, free } = price;
  const sources = [...new Set(items.map(({ source }) => source))];
  const list = [
    ...headed(`What occurs, and what each costs [${UNIT}]`, textTables(columns(sources), items)),
    ...freeText(free),
    wrapText(clockText(conditions)),
    `Sources:\n${sources.map(sourceText).join("\n")}`,
  ];
  return [
    ...headed(`Where the cycles go [${UNIT}]`, categoryTables(byCategory, perAccess)),
    wrapText(
      "low..high: every cost at the low end of its range, and every cost at the high end. cycles: each at its value.",
    ),
    ...(items.length === 0 ? ["Nothing that was counted has a cost."] : list),
  ];
}

/** What is to be said of costs that were fitted. */
function fittedText({ stretch }: PriceConditions): string[] {
  if (stretch === undefined) return [];
  const contradict =
    stretch > 1
      ? ` Its times contradict each other: the costs meet them within ${stretch.toFixed(1)} times their tolerances.`
      : "";
  return [
    `Costs of a calibration to this machine. Their ranges are those of each cost by itself; the times it was fitted to tie them together, so the whole is known better than this.${contradict}`,
  ];
}

const PAGING_TEXTS = { ept: "EPT", npt: "nested page tables", shadow: "shadow paging" } as const;

function machineText({ model, paging, vcpus }: PriceConditions): string {
  return [model, PAGING_TEXTS[paging], ...(vcpus > 1 ? [`${vcpus} vCPUs`] : [])].join(", ");
}

function categoryTables(byCategory: Readonly<Record<Category, Cycles>>, perAccess: Cycles): string[] {
  const rows = CATEGORIES.map((category) => [category, byCategory[category]] as const).filter(
    ([, { low, high }]) => low !== 0 || high !== 0,
  );
  return textTables<readonly [string, Cycles]>(
    [
      { header: simulated("category"), align: "left", text: ([category]) => category },
      { header: "cycles", align: "right", text: ([, { value }]) => smallCycles(value) },
      { header: "low..high", align: "right", text: ([, of]) => range(of, smallCycles) },
    ],
    [...rows, ["total", perAccess]],
  );
}

function columns(sources: readonly string[]): TextColumn<PricedCost>[] {
  return [
    { header: simulated("cost"), align: "left", text: ({ cost }) => cost },
    { header: "times", align: "right", text: ({ times }) => times.toFixed(4) },
    { header: "each", align: "right", text: ({ each }) => range(each, smallCycles) },
    { header: "cycles", align: "right", text: ({ cycles: of }) => smallCycles(of.value) },
    { header: "is", align: "left", text: ({ tag }) => tag },
    { header: "source", align: "right", text: ({ source }) => `[${sources.indexOf(source) + 1}]` },
  ];
}

/** A reason and the primitives that it is for. */
function freeText(free: readonly FreePrimitive[]): string[] {
  const reasons = [...new Set(free.map(({ because }) => because))];
  return reasons.map((reason) => {
    const names = free.filter(({ because }) => because === reason).map(({ primitive }) => primitive);
    return wrapText(`Without a cost of its own: ${names.join(", ")} (${reason}).`);
  });
}

function clockText({ tsc, core }: PriceConditions): string {
  return (
    `Times in core cycles are taken at ${range(core, cycles)} MHz (${core.tag}: ${core.source}), against a time-stamp counter at ` +
    `${cycles(tsc.value)} MHz (${tsc.tag}: ${tsc.source}).`
  );
}

/** Room for a source's number. */
const INDENT = 5;

function sourceText(source: string, index: number): string {
  const [first, ...rest] = wrapText(source, MAIL_WIDTH - INDENT).split("\n");
  return [`[${index + 1}]`.padEnd(INDENT) + first, ...rest.map((line) => " ".repeat(INDENT) + line)].join(
    "\n",
  );
}
