/**
 * Data-TLB hits in a process of their own, which prints how many, their nanoseconds of processor time, and by how many
 * bytes the process had grown when they were done: `node --expose-gc long-run.mjs ACCESSES`. The loop was compiled before.
 */
import { measureProcessor } from "./processor.mjs";
import { PROCESSOR_ROWS } from "./processor-rows.mjs";

const [row] = PROCESSOR_ROWS;
const accesses = Number(process.argv[2]);

function memory() {
  globalThis.gc?.();
  const { heapUsed, rss } = process.memoryUsage();
  return { heapUsed, rss };
}

measureProcessor(row, 1_000_000);
const before = memory();
const { nanoseconds, counts } = measureProcessor(row, accesses);
const after = memory();
console.log(
  JSON.stringify({
    nanoseconds,
    dtlbHit: counts.dtlbHit,
    heapGrowth: after.heapUsed - before.heapUsed,
    rssGrowth: after.rss - before.rss,
  }),
);
