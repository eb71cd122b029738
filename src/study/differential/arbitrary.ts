/** Random scenarios, which fast-check also shrinks: to fewer steps, and to the first of each list of places and values. */
import fc from "fast-check";
import { setting } from "./draft.js";
import { guestInstruction } from "./guest-drafts.js";
import { ioeventfdCall } from "./ioeventfd-drafts.js";
import { memoryCall } from "./memory-drafts.js";
import type { Scenario, Step } from "./scenario.js";

const MOST_STEPS = 24;

const draft = fc.oneof(
  { weight: 8, arbitrary: guestInstruction },
  { weight: 3, arbitrary: ioeventfdCall },
  { weight: 3, arbitrary: memoryCall },
);

export const scenarioArbitrary: fc.Arbitrary<Scenario> = fc
  .tuple(setting, fc.array(draft, { minLength: 1, maxLength: MOST_STEPS, size: "max" }))
  .map(([where, drafts]) => {
    const steps: Step[] = [];
    for (const one of drafts) steps.push(one(where, steps));
    return steps;
  });
