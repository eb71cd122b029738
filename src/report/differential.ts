/** What came of random scenarios on the model and on this machine's KVM, as plain text of at most 72 columns. */
import type { HostConformance } from "../study/differential/conform-host.js";
import type { Difference } from "../study/differential/differential.js";
import { LEFT_OUT } from "../study/differential/paths.js";
import { stepText } from "../study/differential/scenario.js";
import { asciiText, fillLines, listItem, MAIL_WIDTH, mailText, textTable, wrapText } from "./text-table.js";

/** Ends with a line feed. */
export function differentialText(conformance: HostConformance): string {
  const { difference } = conformance;
  const parts = [
    verdict(conformance),
    setting(conformance),
    features(conformance),
    paths(conformance),
    unreachable(conformance),
    ...(difference === null ? [] : [differenceText(difference, conformance.seed)]),
  ];
  return `${mailText(parts.join("\n\n"))}\n`;
}

function verdict({ scenarios, steps, instructions, difference }: HostConformance): string {
  const what = difference === null ? "no difference" : "a difference in the last of them";
  return wrapText(
    `${scenarios} random scenarios on the model and on this machine's KVM, ${steps} steps, ${instructions} of them guest instructions: ${what}.`,
  );
}

function setting({ machine, model, seed }: HostConformance): string {
  const { cpuModel, kernel, kvmModule } = machine;
  const caching = model.mmioCaching ? "mmio_caching on" : "mmio_caching off";
  const rows = [
    ["processor", cpuModel ?? "unknown"],
    ["kernel", `Linux ${kernel?.split(" ")[0] ?? "unknown"}, ${kvmModule ?? "unknown module"}`],
    ["model", [model.kernel, model.paging, caching, ...model.patches].join(", ")],
    ["seed", String(seed)],
  ];
  return rows.map(([name, text]) => hanging(name.padEnd(11), text)).join("\n");
}

function features({ covered }: HostConformance): string {
  const items = Object.entries(covered.features).map(([group, counts]) => {
    const words = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
    return listItem(`${group}: ${words.join("; ")}`);
  });
  return ["What the scenarios met, and how often:", ...items].join("\n");
}

function paths({ covered }: HostConformance): string {
  const lacking = covered.unreachable.map(({ path }) => path);
  const taken = Object.entries(covered.paths).filter(([name]) => !lacking.includes(name));
  return textTable(
    [
      { header: "Path of KVM", align: "left", text: ([name]) => name },
      { header: "Times, by the model", align: "right", text: ([, times]) => String(times) },
    ],
    taken,
  );
}

function unreachable({ covered }: HostConformance): string {
  const items = covered.unreachable.map(({ path, needs }) => listItem(`${path}: needs ${needs}`));
  return [
    "Paths that this host cannot reach:",
    ...items,
    wrapText(`In no scenario: ${LEFT_OUT.join("; ")}.`),
  ].join("\n");
}

/** The steps of the scenario, and under each what came of it: once where both agree. */
function differenceText({ path, scenario, events, memory }: Difference, seed: number): string {
  const steps = scenario.flatMap((step, index) => {
    const { model, other } = events[index];
    const number = `${String(index + 1).padStart(3)} `;
    const both = model.join("\n") === other.join("\n");
    return [
      hanging(number, stepText(step)),
      ...(both ? came("both", model) : [...came("model", model), ...came("host", other)]),
    ];
  });
  const heading = [
    wrapText(`The first difference, shrunk to ${count(scenario.length, "step")}. The same again:`),
    hanging("  ", `exitlab conform --host --seed ${seed} --path ${path}`),
  ];
  return [...heading, ...steps, ...(memory === null ? [] : [memoryText(memory)])].join("\n");
}

function memoryText({ memory, offset, bytes: [model, host] }: NonNullable<Difference["memory"]>): string {
  const where = `byte 0x${offset.toString(16)} of memory ${memory}`;
  return wrapText(
    `In the end ${where} is 0x${model.toString(16)} on the model, 0x${host.toString(16)} on the host.`,
  );
}

function came(where: string, events: readonly string[]): string[] {
  const texts = events.length === 0 ? ["nothing"] : events;
  return texts.map((text, index) => hanging(`      ${(index === 0 ? where : "").padEnd(6)} `, text));
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** A text behind a heading of its first line, filled below itself. */
function hanging(heading: string, text: string): string {
  const lines = fillLines(asciiText(text), MAIL_WIDTH - heading.length);
  return lines.map((line, index) => (index === 0 ? heading : " ".repeat(heading.length)) + line).join("\n");
}
