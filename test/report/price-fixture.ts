/** The prices of kicks under two kernels. */
import { priceRun } from "../../src/study/price.js";
import { run } from "../../src/study/run/run.js";
import type { ScenarioInput } from "../../src/study/run/scenario.js";

const kicks = {
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v6.19",
  memslots: [{ gpa: 0, size: "0x200000" }],
  doorbells: { address: "0xfebf0000" },
  workload: [{ op: "kick" }],
  accesses: 200,
} satisfies ScenarioInput;

const before = priceRun(run({ ...kicks, kernel: "v4.2" }));
const after = priceRun(run(kicks));
export const prices = { "Linux 4.2": before, "Linux 6.19": after };
