/**
 * A guest of a terabyte in a process of its own, which prints what it counted and its largest resident set in bytes:
 * `node terabyte.mjs ACCESSES`. The accesses are spread over all of the memory, so that nearly each needs a table of its own.
 */
import { run } from "../../dist/study/run/run.js";

const TERABYTE = 2 ** 40;

const { counts } = run({
  cpu: "haswell-ep-e5-2660v3",
  kernel: "v4.2",
  guestPages: "1G",
  memslots: [{ gpa: 0, size: TERABYTE }],
  // The guest's own tables are at the end of the slot.
  workload: [{ op: "store", size: 8, footprint: TERABYTE - 2 ** 30, stride: 4096, pattern: "uniform" }],
  accesses: Number(process.argv[2]),
});
// In units of 1024 bytes.
const { maxRSS } = process.resourceUsage();
console.log(JSON.stringify({ violations: counts.exitEptViolation, maxRss: 1024 * maxRSS }));
