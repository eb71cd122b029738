/** Small runs of the thread's study, with the provenance of the made-up study: what the figures show does not change with the code. */
import type { Design } from "../../../src/study/thread/designs.js";
import { type MeasuredDesign, measureDesigns } from "../../../src/study/thread/measured-design.js";
import { studyOpenSwitches } from "../../../src/study/thread/open-switches.js";
import { answer } from "../../../src/study/thread/question.js";
import { USUAL_SETTING } from "../../../src/study/thread/setting.js";
import { USUAL_CPU } from "../../../src/study/thread/sweep.js";
import { verdictRows } from "../../../src/study/thread/verdict.js";
import { unfitted as provenance } from "../fixture.js";

const setting = (vendor: Design["vendor"]) => ({
  ...USUAL_SETTING,
  cpu: USUAL_CPU[vendor],
  accesses: 200,
  warmup: 128,
});
const machine = "Intel Xeon E5-2660 v3 (Haswell-EP); AMD Ryzen 9 5900X (Vermeer, Zen 3)";

export const designs = measureDesigns(setting);
export const verdict = { provenance, machine, verdict: verdictRows(designs) };
export const question = {
  provenance,
  machine,
  question: answer(designs.get("rfc") as MeasuredDesign, designs.get("bad-page") as MeasuredDesign),
};
export const switches = {
  provenance,
  machine,
  switches: studyOpenSwitches({ ...setting("Intel"), accesses: 16, warmup: 32 }),
};
