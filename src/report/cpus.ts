/**
 * The processor profiles: how much of each is measured, and every value of one with its unit, range, tag and source.
 */
import { type CpuProfile, cpuNames, loadCpu, type ProfileValue } from "../cost/cpu-profile.js";
import type { Tag } from "../cost/quantity.js";
import type { FlatRecord, Records } from "./records.js";
import { MAIL_WIDTH, mailText, type TextColumn, textTable, wrapText } from "./text-table.js";

const INDENT = "    ";

/** One record per profile: what it describes, how many values it has, and the share of them that is of each tag, 0 to 1. */
export function tableCpus(): Records {
  return cpuNames().map((name) => summaryOf(loadCpu(name)));
}

/**
 * One record per value of a profile, in the order of its file. Text, for a value may be a number, a size and its ways, true,
 * false, or the name of a policy. Of what is no number, the range lists what it can be.
 *
 * @throws InputError for a name without a profile
 */
export function tableCpuValues(name: string): Records {
  return loadCpu(name).values.map(recordOf);
}

const share = (value: FlatRecord[string]) => `${Math.round(Number(value) * 100)}%`;

const COLUMNS: readonly TextColumn<FlatRecord>[] = [
  { header: "profile", align: "left", text: ({ name }) => String(name) },
  { header: "vendor", align: "left", text: ({ vendor }) => String(vendor) },
  { header: "year", align: "right", text: ({ year }) => String(year) },
  { header: "measured", align: "right", text: ({ measured }) => share(measured) },
  { header: "derived", align: "right", text: ({ derived }) => share(derived) },
  { header: "assumed", align: "right", text: ({ assumed }) => share(assumed) },
];

/** All profiles as a table for a mail, each with the processor's model in a line of its own. */
export function cpuTable(): string {
  const rows = tableCpus();
  const [header, ...lines] = textTable(COLUMNS, rows).split("\n");
  const body = lines.map((line, row) => `${line}\n${INDENT}${rows[row].model}`);
  const tags = "measured: read in the named source; derived: arithmetic on such values; assumed: neither";
  return mailText([header, ...body, "", wrapText(tags), ""].join("\n"));
}

/**
 * Every value of a profile as text for a mail: field, then value, unit, range and tag, then the source.
 *
 * @throws InputError for a name without a profile
 */
export function cpuValueList(name: string): string {
  const { model, values } = loadCpu(name);
  const entries = values.map(recordOf).map(({ field, value, unit, range, tag, source }) => {
    return `${field}\n${indented(`${value} [${unit}]; range ${range}; ${tag}`)}\n${indented(source)}\n`;
  });
  return mailText(`${wrapText(`${name}: ${model}`)}\n\n${entries.join("")}`);
}

function summaryOf({ name, model, vendor, year, values }: CpuProfile) {
  const shareOf = (tag: Tag) => values.filter((value) => value.tag === tag).length / values.length;
  const shares = { measured: shareOf("measured"), derived: shareOf("derived"), assumed: shareOf("assumed") };
  return { name, model, vendor, year, values: values.length, ...shares };
}

function recordOf({ field, value, unit, range, tag, source }: ProfileValue) {
  const hasEnds = typeof value !== "string" && typeof value !== "boolean";
  return {
    field,
    value: shown(value),
    unit,
    range: range.map(shown).join(hasEnds ? ".." : ", "),
    tag,
    source,
  };
}

/** A size and its ways as "6-way 1536"; what the processor does not have as "none". */
function shown(value: unknown): string {
  if (value === null) return "none";
  if (typeof value !== "object") return String(value);
  const { ways, ...size } = value as { ways: number };
  return `${ways}-way ${Object.values(size)}`;
}

function indented(text: string): string {
  return INDENT + wrapText(text, MAIL_WIDTH - INDENT.length).replaceAll("\n", `\n${INDENT}`);
}
