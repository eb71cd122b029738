/**
 * The study as the text of a mail. Tables are quoted one by one, so each says for itself that it is simulated, in which unit,
 * and what its columns are.
 */
import { CATEGORIES } from "../cost/primitive-costs.js";
import type {
  CalibratedRow,
  FastMmioPrediction,
  KernelComparison,
  PciTestdevStudy,
} from "../study/result.js";
import { byCpu } from "./fast-mmio.js";
import { cycles, type Ends, hull, percent, range, signed } from "./format.js";
import { mail } from "./mail.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";

/**
 * The whole study in ASCII, at most 75 columns: provenance, fit, breakdown, prediction, what is assumed, how to repeat it.
 * Cycles are TSC cycles per access.
 */
export function mailTable(study: PciTestdevStudy): string {
  const { rows: otherRows, rank: otherRank } = study.vmexit2012;
  const parts = [
    ...fitTables("Against measured [TSC cycles per access]", study.rows),
    wrapText(
      "residual = (simulated - measured) / measured. The costs were fitted to these rows: a small residual is no proof.",
    ),
    ...breakdownTables(study),
    wrapText(
      "Of costs that the rows cannot tell apart (below), the division between columns is that of the assumed ranges.",
    ),
    ...comparisonTables(study),
    wrapText(
      "fit: the first table's. fast MMIO bus: the same costs on the kernel that has it, mmio-wildcard as an ioeventfd of " +
        "length 0; the range is over the cases and costs named below.",
    ),
    ...predictionTables(study),
    ...notesOf(study),
    ...fitTables("Against measured, vmexit of 2012 [TSC cycles per access]", otherRows),
    wrapText(
      "Another machine, fitted apart" +
        (otherRank < otherRows.length
          ? "."
          : "; as many sums of costs as rows, so almost any such rows would fit."),
    ),
  ];
  return mail({ provenance: study.provenance, head: headOf(study), parts });
}

function headOf({ provenance: { machine, shownAs } }: PciTestdevStudy): string[] {
  return [
    `Machine: ${machine}; rows and breakdown are shown as if: ${shownAs}`,
    "One write of one byte per access; one vCPU, guest and EPT in 4K pages, the same address each time. A time in core " +
      "cycles is a range of TSC cycles, from the core's base to its turbo frequency.",
  ];
}

const rowName: TextColumn<CalibratedRow> = {
  header: simulated("row"),
  align: "left",
  text: ({ name }) => name,
};

function fitTables(heading: string, rows: readonly CalibratedRow[]): string[] {
  return headed(
    heading,
    textTables(
      [
        rowName,
        { header: "measured", align: "right", text: ({ measured }) => cycles(measured) },
        { header: "simulated", align: "right", text: ({ simulated }) => cycles(simulated) },
        { header: "residual", align: "right", text: ({ residual }) => percent(residual) },
      ],
      rows,
    ),
  );
}

function breakdownTables({ rows }: PciTestdevStudy): string[] {
  return headed(
    "Where the cycles go [TSC cycles per access]",
    textTables(
      [
        rowName,
        ...CATEGORIES.filter((category) => rows.some(({ breakdown }) => breakdown[category] !== 0)).map(
          (category) => ({
            header: category,
            align: "right" as const,
            text: ({ breakdown }: CalibratedRow) => cycles(breakdown[category]),
          }),
        ),
        { header: "total", align: "right", text: ({ simulated }) => cycles(simulated) },
      ],
      rows,
    ),
  );
}

function comparisonTables({ comparison }: PciTestdevStudy): string[] {
  return headed(
    "Before and after the fast MMIO bus [TSC cycles per access]",
    textTables<KernelComparison>(
      [
        { header: simulated("row"), align: "left", text: ({ name }) => name },
        { header: "measured", align: "right", text: ({ measured }) => cycles(measured) },
        { header: "fit", align: "right", text: ({ before }) => cycles(before) },
        { header: "fast MMIO bus", align: "right", text: ({ after }) => range(after, cycles) },
      ],
      comparison,
    ),
  );
}

interface CpuCases {
  readonly cpu: string;
  readonly cases: readonly FastMmioPrediction[];
}

const signedCycles = (value: number) => signed(cycles(value));
const references = (value: number) => String(Math.round(value * 10) / 10);

/** From the lowest to the highest over a CPU's eviction cases, ranges of the costs included. */
function over(
  header: string,
  endsOf: (prediction: FastMmioPrediction) => Ends,
  format: (value: number) => string,
): TextColumn<CpuCases> {
  return { header, align: "right", text: ({ cases }) => range(hull(cases.map(endsOf)), format) };
}

function predictionTables(study: PciTestdevStudy): string[] {
  return headed(
    "Fast MMIO against port I/O, lowest..highest [TSC cycles per access]",
    textTables(
      [
        { header: simulated("if it is"), align: "left", text: ({ cpu }) => cpu },
        over("port I/O", ({ portIo }) => portIo, cycles),
        over("fast MMIO", ({ fastMmio }) => fastMmio, cycles),
        over("difference", ({ difference }) => difference, signedCycles),
        over("walk", ({ walk }) => walk, cycles),
        over(
          "refs",
          (prediction) => ({ low: prediction.references, high: prediction.references }),
          references,
        ),
      ],
      [...byCpu(study)].map(([cpu, cases]) => ({ cpu, cases })),
    ),
  );
}

/** What the numbers rest on, and what they cannot tell. */
function notesOf(study: PciTestdevStudy): string[] {
  const { rows, costs, rank, inseparable, predictions, excluded } = study;
  const cases = [...new Set(predictions.map(({ exitEvicts }) => exitEvicts))];
  const assumed = costs.filter(({ tag }) => tag === "assumed").length;
  const identified = costs
    .filter((cost) => cost.identified)
    .map(({ name, fitted }) => `${name} (${range(fitted, cycles)})`);
  const groups = inseparable.map((group) => group.join(", ")).join("; ");
  return [
    `difference = fast MMIO - port I/O, positive where fast MMIO is slower; in the case shown it is ${differenceOf(study)}. walk: the page ` +
      "walk's part of fast MMIO. refs: paging-structure references per kick, guest and EPT; a walk from nothing makes 24 " +
      "only where no structure it finds serves it twice.",
    `Assumed: the CPU, one line each; what an exit evicts of the guest's cached paging structures (the ranges span ` +
      `${cases.join(", ")}, and the CPUs where none is named; L3 is never evicted); the range that ${assumed} of the ` +
      `${costs.length} costs start from; how far the references of a walk overlap, which sets the low end of their cost. ` +
      "What an exit by an EPT entry takes more than one by an instruction, or less, is in the range of eptExitExtra.",
    `The ${rows.length} rows fix ${rank} sums of the ${costs.length} costs` +
      (identified.length === 0 ? "" : `, and by itself only ${identified.join(", ")}`) +
      (groups === "" ? "." : `. They cannot tell apart the costs within each of these groups: ${groups}.`),
    ...(excluded.length === 0
      ? []
      : [
          `No costs within their ranges meet the rows in these cases, which are left out: ` +
            `${excluded.map(({ cpu, exitEvicts }) => `${cpu} with ${exitEvicts} evicted`).join(", ")}.`,
        ]),
  ].map((note) => wrapText(note));
}

/** The difference in words, with the ranges of the costs in it that nothing but an assumption bounds. */
function differenceOf({ difference, costs }: PciTestdevStudy): string {
  const terms = difference.map(({ cost, times }) => {
    const estimate = costs.find(({ name }) => name === cost);
    const note = estimate?.tag === "assumed" ? ` (${range(estimate.fitted, cycles)}, assumed)` : "";
    const count = Math.abs(times) === 1 ? "" : `${references(Math.abs(times))} `;
    return `${times < 0 ? "minus" : "plus"} ${count}${cost}${note}`;
  });
  return terms.join(" ").replace(/^plus /, "");
}
