/** The answer in plain sentences, each made from the numbers of the study. */
import type { ShareBreakEven } from "../../cost/break-even.js";
import type { ThreadIncidents } from "../incidents/thread-cases.js";
import type { Interval } from "../result.js";
import { type DesignName, designOf } from "./designs.js";
import type { PageState } from "./kicks-beside.js";
import type { Question } from "./question.js";
import type { TlbArgument, TlbAssumptionName } from "./tlb-argument.js";
import type { VerdictRow } from "./verdict.js";

interface Findings {
  readonly question: Question;
  readonly verdict: readonly VerdictRow[];
  readonly tlb: TlbArgument;
  readonly incidents: ThreadIncidents;
}

const PAGES: Readonly<Record<PageState, string>> = {
  "never touched": "if the guest never reads the page",
  populated: "if it has",
};

/** From the question to our own candidate. TSC cycles. */
export function conclusionOf({ question, verdict, tlb, incidents }: Findings): string[] {
  const { a, b, perKick, perFault, breakEven } = question;
  const answers = (Object.keys(PAGES) as PageState[]).map(
    (page) => `${lessOrMore(perKick[page])} ${PAGES[page]} (even at ${faults(breakEven[page])})`,
  );
  const row = (name: DesignName) => verdict.find(({ design }) => design === name) as VerdictRow;
  return [
    `The question: a kick takes ${answers.join(", ")} under ${a} than under ${b}, and an ordinary fault ${lessOrMore(perFault)}.`,
    `But both have to beat what is there. A kick takes ${(["rfc", "bad-page", "repaired"] as const)
      .map((name) => against(row(name)))
      .join("; ")}.`,
    walkSentence(tlb),
    `What may help is something else. A kick takes ${against(row("fastpath"))}, if that path is worth so much, if the wake-up does ` +
      `not make the CPU reschedule, and for ${lessOrMore(row("fastpath").missTax)} in a write that no eventfd takes; on AMD ` +
      `${against(row("npf-fast"))}.`,
    ...incidentSentences(incidents),
  ];
}

/** What the walk is worth that the patch hopes to avoid: in the state that it means, 4-Kbyte pages of which one was read. */
function walkSentence({ cases }: TlbArgument): string {
  const walk = (assumption: TlbAssumptionName) =>
    cases.find(
      (of) =>
        of.assumption === assumption &&
        of.walkState === "hot" &&
        of.page === "populated" &&
        of.neighbourhood === "alone" &&
        of.guestPages === "4K" &&
        of.ept === "4K",
    )?.terms.walk;
  const [strict, bound] = [walk("strict"), walk("bound")];
  if (strict === undefined || bound === undefined) return "Pages of 4 Kbyte were not looked at.";
  return (
    `The walk that the patch hopes to avoid: avoided altogether, as no processor is known to do, a kick takes ${lessOrMore(bound)}; ` +
    `by the manual's letter, where the violation itself drops what was cached, ${lessOrMore(strict)}.`
  );
}

/** A design that is faster and does what its base does not is wrong. */
function incidentSentences({ designs, cases, outcomes }: ThreadIncidents): string[] {
  const kindsOf = (number: string, design: string) =>
    Object.keys(outcomes.find((of) => of.number === number && of.design === design)?.seen?.incidents ?? {});
  const wrong = designs.flatMap((design) => {
    const { base } = designOf(design as DesignName);
    const isNew = (number: string, isRead: boolean) => {
      // The base does the same at a page that it knows, whose first access it emulates.
      const known = [...kindsOf(number, base), ...(isRead ? kindsOf("read", base) : [])];
      return kindsOf(number, design).some((kind) => !known.includes(kind));
    };
    const numbers = cases.filter(({ number, isRead }) => isNew(number, isRead)).map(({ number }) => number);
    return numbers.length === 0 ? [] : [`${design} in ${numbers.join(", ")}`];
  });
  return [
    "A read of a doorbell is no news about the patch: a misconfiguration, too, does not tell a read from a write. " +
      (wrong.length === 0
        ? "No design has incidents beyond that."
        : `Beyond that there are incidents that the base has not: ${wrong.join("; ")}.`),
  ];
}

function against({ design, base, difference }: VerdictRow): string {
  if (difference === null) return `no more or less under ${design}, a base`;
  return `${lessOrMore(difference)} under ${design} than under ${base}`;
}

function lessOrMore(of: Interval): string {
  const words = of.value < 0 ? "fewer" : "more";
  const [low, high] = of.value < 0 ? [-of.high, -of.low] : [of.low, of.high];
  return `${whole(Math.abs(of.value))} cycles ${words} (${whole(low)} to ${whole(high)})`;
}

function faults({ at, range }: ShareBreakEven): string {
  if (at === null || at < 0) return "no number of faults per kick";
  const ends = range === null ? "" : `, ${digits(range.low)} to ${digits(range.high)}`;
  return `${digits(at)} faults per kick${ends}`;
}

const digits = (value: number) => String(Number(value.toPrecision(2)));
const whole = (value: number) => String(Math.round(value) + 0);
