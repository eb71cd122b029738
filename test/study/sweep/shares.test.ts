import fc from "fast-check";
import { expect, it } from "vitest";
import { parseScenario } from "../../../src/study/run/scenario.js";
import type { Job } from "../../../src/study/sweep/executor.js";
import { Shares } from "../../../src/study/sweep/shares.js";

const CPUS = ["haswell-ep-e5-2660v3", "skylake-sp-platinum-8160"] as const;
const KERNELS = ["v6.19", "v4.2"] as const;
const scenarios = KERNELS.flatMap((kernel) =>
  CPUS.map((cpu) =>
    parseScenario({
      kernel,
      cpu,
      memslots: [{ gpa: 0, size: "0x400000" }],
      workload: [{ op: "load", address: 0 }],
      accesses: 1,
    }),
  ),
);

/** @param kinds indexes in `scenarios` */
const jobsOf = (kinds: readonly number[]): Job[] =>
  kinds.map((kind, index) => ({ key: String(index), scenario: scenarios[kind] }));

const kinds = fc.array(fc.nat(scenarios.length - 1), { maxLength: 40 });

it("gives each job to one worker, once, whoever asks when", () => {
  fc.assert(
    fc.property(
      kinds,
      fc.integer({ min: 1, max: 5 }),
      fc.infiniteStream(fc.nat(4)),
      (given, workers, asks) => {
        const jobs = jobsOf(given);
        const shares = new Shares(jobs, workers);
        const keys = jobs.map(() => shares.next(asks.next().value % workers)?.key);
        expect(keys.sort()).toEqual(jobs.map(({ key }) => key).sort());
        expect(shares.next(0)).toBeUndefined();
      },
    ),
  );
});

it("has two workers begin with different kernels, and each keep to a processor while it can", () => {
  const shares = new Shares(jobsOf([0, 1, 2, 3, 0, 1, 2, 3]), 2);
  const kindsOf = (worker: number) =>
    Array.from({ length: 4 }, () => scenarios.indexOf((shares.next(worker) as Job).scenario));
  expect(kindsOf(0)).toEqual([2, 2, 3, 3]);
  expect(kindsOf(1)).toEqual([1, 1, 0, 0]);
});

it("gives who is done what another would come to last", () => {
  const shares = new Shares(jobsOf([2, 2, 3, 3]), 2);
  const keyFor = (worker: number) => shares.next(worker)?.key;
  expect([keyFor(0), keyFor(0), keyFor(0), keyFor(1)]).toEqual(["0", "1", "2", "3"]);
});
