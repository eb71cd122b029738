/** What ordinary faults pay by the size of the fast bus, and the RFC against its base over faults per kick. */
import type { BusTax, FaultTaxStudy, RateCurve } from "../../../study/thread/objections/fault-tax.js";
import { Figure } from "../../figure.js";
import { range, smallCycles } from "../../format.js";
import type { Records } from "../../records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "../../text-table.js";
import { FONT, GRID, INK, LABEL_TICKS, LINES } from "../../theme.js";
import { rangeMarks } from "./range-marks.js";

const PLOT_HEIGHT = 300;
const UNIT = "TSC cycles";
const NO_KICKS = "no kicks";

/**
 * One record per design and size of the bus, of an ordinary fault; and one per assumption and rate, the RFC less its base per
 * kick. What a record does not have is "". TSC cycles.
 */
export function tableFaultTax({ taxes, rates, busSizeOfRates }: FaultTaxStudy): Records {
  return [
    ...taxes.map(({ design, base, busSize, busLookups, busCompares, slotLookups, difference, share }) => ({
      of: "fault",
      design,
      base,
      assumption: "",
      busSize,
      faultsPerKick: "",
      busLookups,
      busCompares,
      slotLookups,
      ...difference,
      shareLow: share?.low ?? "",
      share: share?.value ?? "",
      shareHigh: share?.high ?? "",
      breakEven: "",
    })),
    ...rates.flatMap(({ assumption, points, breakEven }) =>
      points.map(({ faultsPerKick, perKick }) => ({
        of: "kick",
        design: "rfc",
        base: "base-4.2",
        assumption,
        busSize: busSizeOfRates,
        faultsPerKick,
        busLookups: "",
        busCompares: "",
        slotLookups: "",
        ...perKick,
        shareLow: "",
        share: "",
        shareHigh: "",
        breakEven: breakEven.at ?? "",
      })),
    ),
  ];
}

/** Left the tax of a fault by size of the bus; right the mean over kicks and faults, from kicks alone to faults alone. */
export function plotFaultTax(study: FaultTaxStudy): Figure {
  const { taxes, rates, busSizeOfRates, provenance, machine } = study;
  const sizes = [...new Set(taxes.map(({ busSize }) => busSize))];
  const designs = [...new Set(taxes.map(({ design }) => design))];
  const places = [...rates[0].points.map(({ faultsPerKick }) => String(faultsPerKick)), NO_KICKS];
  const axis = (text: string, names: readonly string[], domain: readonly [number, number]) => ({
    title: { text, standoff: 8, font: FONT },
    domain,
    range: [-0.5, names.length - 0.5],
    tickvals: names.map((_, index) => index),
    ticktext: names,
    gridcolor: GRID,
    zeroline: false,
    ...LABEL_TICKS,
  });
  const cycles = (text: string) => ({
    title: { text, standoff: 6, font: FONT },
    gridcolor: GRID,
    zeroline: true,
    zerolinecolor: INK,
  });
  return new Figure({
    title: "SIMULATED: what an ordinary fault pays, by the size of the bus; and the RFC over faults per kick",
    provenance,
    machine:
      `${machine}. Bars: what the ranges of the costs allow. Right: the RFC less base-4.2, mean over kicks and faults, with ` +
      `${busSizeOfRates} ioeventfds. No walk: a bound that no processor reaches; cheap violation: the least assumed for one`,
    plotHeight: PLOT_HEIGHT,
    left: 72,
    right: 24,
    rest: {
      xaxis: axis("ioeventfds on the fast bus", sizes.map(String), [0, 0.36]),
      yaxis: cycles(`${UNIT} per ordinary fault, less the base`),
      xaxis2: { ...axis("ordinary faults per kick", places, [0.47, 1]), anchor: "y2" },
      yaxis2: { ...cycles(`${UNIT} per kick or fault, less base-4.2`), anchor: "x2" },
    },
    data: [
      ...designs.map((design, index) =>
        rangeMarks({
          name: design,
          ...seriesOf(index),
          marks: taxes
            .filter((tax) => tax.design === design)
            .map(({ busSize, difference }) => ({
              at: sizes.indexOf(busSize) + 0.18 * (index - (designs.length - 1) / 2),
              of: `${busSize} ioeventfds`,
              range: difference,
            })),
          unit: UNIT,
          along: "y",
          axes: "",
        }),
      ),
      ...rates.map((curve, index) =>
        rangeMarks({
          name: `rfc, ${curve.assumption}`,
          ...seriesOf(designs.length + index),
          marks: meansOf(curve).map((mean, place) => ({
            at: place + 0.17 * (index - (rates.length - 1) / 2),
            of: place < places.length - 1 ? `${places[place]} faults per kick` : NO_KICKS,
            range: mean,
          })),
          unit: `${UNIT} per kick or fault`,
          along: "y",
          axes: "2",
        }),
      ),
    ],
    table: () => tableFaultTax(study),
  });
}

const seriesOf = (index: number) => {
  const { color, symbol } = LINES[index];
  return { color, symbol };
};

/** Over kicks and faults, in the order of the rates, and of faults alone. */
function meansOf({ points, perFault }: RateCurve) {
  return [
    ...points.map(({ kicks, faults, perKick: { low, value, high } }) => {
      const share = kicks / (kicks + faults);
      return { low: low * share, value: value * share, high: high * share };
    }),
    perFault,
  ];
}

const TAXES: readonly TextColumn<BusTax>[] = [
  { header: simulated("design"), align: "left", text: ({ design }) => design },
  { header: "on bus", align: "right", text: ({ busSize }) => String(busSize) },
  { header: "bus", align: "right", text: ({ busLookups }) => String(busLookups) },
  { header: "compares", align: "right", text: ({ busCompares }) => String(busCompares) },
  { header: "slot", align: "right", text: ({ slotLookups }) => String(slotLookups) },
  { header: "cycles", align: "right", text: ({ difference }) => range(difference, smallCycles) },
  {
    header: "of the fault",
    align: "right",
    text: ({ share }) => (share === null ? "-" : `${(100 * share.value).toFixed(1)}%`),
  },
];

const RATES: readonly TextColumn<RateCurve>[] = [
  { header: simulated("the RFC"), align: "left", text: ({ assumption }) => assumption },
  { header: "per kick", align: "right", text: ({ perKick }) => range(perKick, smallCycles) },
  {
    header: "gone at",
    align: "right",
    text: ({ perKick, breakEven: { at } }) => (perKick.value < 0 && at !== null ? at.toFixed(2) : "no gain"),
  },
  {
    header: "at most",
    align: "right",
    text: ({ breakEven }) =>
      breakEven.range === null ? "anywhere" : Math.max(0, breakEven.range.high).toFixed(2),
  },
];

/** For a mail: look-ups and cycles more of an ordinary fault, and at how many per kick they eat up what a kick gains. */
export function faultTaxParts({ taxes, rates, verdict }: FaultTaxStudy): string[] {
  return [
    ...headed(
      `What an ordinary fault takes more than under the base: look-ups in bus and slots, ${UNIT}`,
      textTables(TAXES, taxes),
    ),
    ...headed(
      `A kick of the RFC less base-4.2 [${UNIT}], and the ordinary faults per kick at which that is gone`,
      textTables(RATES, rates),
    ),
    wrapText(
      "at most: the highest that the ranges of the costs allow. No walk: the processor takes the fault from a cached translation, which " +
        "does not hold the address that it has to report; cheap violation: the least assumed for a violation over a misconfiguration.",
    ),
    wrapText(verdict),
  ];
}
