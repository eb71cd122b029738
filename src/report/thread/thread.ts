/** The study of the thread for a mail that a maintainer could answer to: counts before cycles, the base first, costs as well as wins. */
import type { PageState } from "../../study/thread/kicks-beside.js";
import type { ThreadStudy } from "../../study/thread/thread.js";
import { threadIncidentParts } from "../incidents.js";
import { mail } from "../mail.js";
import { listItem, wrapText } from "../text-table.js";
import { openSwitchesParts } from "./open-switches.js";
import { questionParts } from "./question.js";
import { ratesParts } from "./rates.js";
import { overtakesParts } from "./sweep.js";
import { breakEvenText, tlbBreakEvenParts } from "./tlb-argument.js";
import { verdictParts } from "./verdict.js";

/** The whole study. Its parts have mails of their own, with all that was counted. */
export function threadMail(study: ThreadStudy): string {
  const { tlb, incidents, overtakes, rates } = study;
  return mail({
    provenance: study.provenance,
    head: headOf(study),
    parts: [
      NOTHING_MEASURED,
      wrapText(breakEvenText(tlb)),
      ...verdictParts(study),
      ...questionParts(study),
      ...conclusionParts(study),
      ...tlbBreakEvenParts(tlb),
      ...objectionParts(study),
      ...threadIncidentParts(incidents),
      ...openSwitchesParts(study),
      ...(overtakes === null ? [] : overtakesParts(overtakes)),
      ...(rates === null ? [] : ratesParts(rates)),
      ...limitsParts(study),
    ],
  });
}

/** The verdict and the answer. */
export function threadShortMail(study: ThreadStudy): string {
  const { rates } = study;
  const [{ assumption, measurement }] = study.settles;
  return mail({
    provenance: study.provenance,
    head: headOf(study),
    parts: [
      NOTHING_MEASURED,
      wrapText(breakEvenText(study.tlb)),
      ...verdictParts(study),
      ...conclusionParts(study),
      ...(rates === null ? [] : ratesParts(rates)),
      wrapText(`What would overturn this is ${assumption}. What would settle it: ${measurement}.`),
    ],
  });
}

const NOTHING_MEASURED = wrapText(
  "All cycles below are counts times costs, and most costs are assumed ranges: none was measured on hardware.",
);

function limitsParts({ leftOut, settles }: ThreadStudy): string[] {
  return [
    [
      "What the model leaves out, and whom that favours:",
      ...leftOut.map(({ what, bias }) => listItem(`${what}. Bias: ${bias}.`)),
    ].join("\n"),
    [
      "What would overturn this, and what would settle it on silicon:",
      ...settles.map(({ assumption, measurement }) => listItem(`${assumption}: ${measurement}.`)),
    ].join("\n"),
  ];
}

function headOf({ machine }: ThreadStudy): string[] {
  return [`Machines: ${machine}`];
}

function conclusionParts({ conclusion }: ThreadStudy): string[] {
  return conclusion.map((sentence) => wrapText(sentence));
}

function objectionParts({ verdict, reads, faultTax, bypass, slotPrice }: ThreadStudy): string[] {
  const references = (design: string, page: PageState) =>
    verdict.find((row) => row.design === design && (row.page ?? page) === page)?.references;
  const neverMapped =
    "The entry stays non-present, that is so: a doorbell that is only kicked is never mapped, and a read of the doorbell itself " +
    `signals and does not map it either. ${references("rfc", "never touched")} references per kick, and where a read beside it has ` +
    `mapped the page ${references("rfc", "populated")}, for the violation drops what was cached; ` +
    `${references("base-4.2", "populated")} under base-4.2.`;
  const objections = {
    "What is cached?": { verdict: neverMapped },
    "Reads of doorbells": reads,
    "A bus lookup in every fault": faultTax,
    "The handling of read-only slots is bypassed": bypass,
    "Not said: the price of the slot": slotPrice,
  };
  return [
    [
      "The objections, measured:",
      ...Object.entries(objections).map(([objection, { verdict }]) => listItem(`${objection}: ${verdict}`)),
    ].join("\n"),
  ];
}
