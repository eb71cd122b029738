import { fork } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { hostname } from "node:os";
import { join } from "node:path";
import { Queue, type Job as QueuedJob } from "bullmq";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { dataPath } from "../../../src/cost/input.js";
import { modelVersion } from "../../../src/study/provenance.js";
import type { Executor, Job, Outcome } from "../../../src/study/sweep/executor.js";
import { pointsOf } from "../../../src/study/sweep/point.js";
import { RedisExecutor } from "../../../src/study/sweep/redis.js";
import { executeQueued } from "../../../src/study/sweep/redis-processor.js";
import { queueName, shownUrl } from "../../../src/study/sweep/redis-queue.js";
import { parseSweep } from "../../../src/study/sweep/spec.js";
import { BASE } from "./fixture.js";
import { isRunning, RedisServer, redisProgram, until, WorkerProcess } from "./redis-server.js";

/** Compiled, as the workers run it: the test runner's own way of loading makes the simulator many times slower. */
const compiled = (name: string) => join(import.meta.dirname, "../../../dist/study/sweep", name);
const { executeJob }: typeof import("../../../src/study/sweep/executor.js") = createRequire(import.meta.url)(
  compiled("executor.js"),
);

/** Accesses of a job that is still running when a test has noticed it. */
const LONG = 1_000_000;

/** Jobs of a sweep over seeds. */
async function jobsOf(seeds: number, accesses = 50): Promise<Job[]> {
  const points = await pointsOf(parseSweep({ name: "seeds", base: { ...BASE, accesses }, axes: {}, seeds }));
  return points.map(({ key, scenario }) => ({ key, scenario }) as Job);
}

/** Jobs that each take a good part of a second. */
function longJobs(count: number): Promise<Job[]> {
  return jobsOf(count, LONG);
}

/** A job whose scenario only the run can refuse: the guest's tables do not fit into its memory. */
async function impossibleJob(): Promise<Job> {
  const memslots = [{ gpa: 0, size: 4096 }];
  const [{ key, scenario }] = await pointsOf(
    parseSweep({ name: "impossible", base: { ...BASE, memslots }, axes: {}, seeds: 1 }),
  );
  return { key, scenario } as Job;
}

/** Outcomes by key, without the wall time. */
type Outcomes = Readonly<Record<string, unknown>>;

async function outcomesOf(executor: Executor, jobs: readonly Job[]): Promise<Outcomes> {
  const outcomes: Outcome[] = [];
  for await (const outcome of executor.execute(jobs, new AbortController().signal)) outcomes.push(outcome);
  expect(outcomes).toHaveLength(jobs.length);
  return byKey(outcomes);
}

async function outcomesHere(jobs: readonly Job[]): Promise<Outcomes> {
  const outcomes: Outcome[] = [];
  for (const job of jobs) outcomes.push(await executeJob(job));
  return byKey(outcomes);
}

function byKey(outcomes: readonly Outcome[]): Outcomes {
  return Object.fromEntries(outcomes.map(({ ms, key, ...rest }) => [key, rest]));
}

describe.skipIf(redisProgram === null)("a sweep through Redis", () => {
  const server = new RedisServer();
  let redis: Redis;
  let queue: Queue;
  let workers: WorkerProcess[] = [];
  let notes: string[] = [];
  let executor: RedisExecutor;

  beforeAll(() => server.start());
  afterAll(async () => {
    await server.stop();
    server.removeFolder();
  });

  beforeEach(() => {
    redis = new Redis(server.url, { maxRetriesPerRequest: null });
    redis.on("error", () => {});
    queue = new Queue(queueName(), { connection: redis, skipVersionCheck: true });
    queue.on("error", () => {});
    notes = [];
    executor = new RedisExecutor(server.url, (line) => notes.push(line));
  });
  afterEach(async () => {
    for (const worker of workers) worker.kill("SIGKILL");
    await Promise.all(workers.map(({ ended }) => ended));
    workers = [];
    await redis.flushall();
    await queue.close();
    redis.disconnect();
  });

  /** Starts workers for one job at a time. */
  async function start(count: number): Promise<WorkerProcess[]> {
    const started = Array.from({ length: count }, () => new WorkerProcess(server.url));
    workers.push(...started);
    await Promise.all(started.map((worker) => worker.ready()));
    for (const worker of started) expect(worker.lines[0]).toContain(`model ${modelVersion()}`);
    return started;
  }

  /** Waits until the queue holds this many jobs in a state. */
  function untilThereAre(count: number, state: "waiting" | "active" | "completed"): Promise<void> {
    return until(async () => (await queue.getJobCounts(state))[state] === count);
  }

  async function isEmpty(): Promise<boolean> {
    return Object.values(await queue.getJobCounts()).every((count) => count === 0);
  }

  it("waits for workers, has the outcomes of a loop, and leaves nothing in the queue", async () => {
    const impossible = await impossibleJob();
    const jobs = [...(await jobsOf(20)), impossible];
    const outcomes = outcomesOf(executor, jobs);
    await untilThereAre(jobs.length, "waiting");
    const started = await start(2);
    expect(await outcomes).toEqual(await outcomesHere(jobs));
    expect(await isEmpty()).toBe(true);
    expect(notes).toEqual([
      expect.stringMatching(
        /^no worker .* is connected to (.*) yet: start one with: exitlab worker --redis \1$/,
      ),
    ]);
    // What fails has been executed, and is executed once.
    await Promise.all(started.map((worker) => worker.stop()));
    const failures = started.flatMap((worker) => worker.said(": scenario: memslots"));
    expect(failures).toEqual([expect.stringContaining(`job ${impossible.key.slice(0, 8)}: `)]);
  });

  it("tries a job again when its process is killed", async () => {
    const [job] = await longJobs(1);
    const [worker] = await start(1);
    const outcomes = outcomesOf(executor, [job]);
    await until(() => worker.killChildren());
    expect(await outcomes).toEqual(await outcomesHere([job]));
    expect(worker.said("attempt 1: not executed")).toHaveLength(1);
  });

  it("gives a job up when its process is killed three times", async () => {
    const [job] = await longJobs(1);
    const [worker] = await start(1);
    const outcomes = outcomesOf(executor, [job]);
    for (const attempt of [1, 2, 3]) {
      await until(() => worker.killChildren());
      await until(() => worker.said(`attempt ${attempt}: not executed`).length > 0);
    }
    expect(await outcomes).toEqual({
      [job.key]: {
        status: "failed",
        error: expect.stringContaining("the last: its process ended with SIGKILL"),
      },
    });
  });

  it("goes on with the other workers when one is killed", async () => {
    const jobs = await longJobs(2);
    const [victim, other] = await start(2);
    const outcomes = outcomesOf(executor, jobs);
    await untilThereAre(2, "active");
    victim.kill("SIGKILL");
    expect(await outcomes).toEqual(await outcomesHere(jobs));
    expect(other.said("its worker is gone")).toHaveLength(1);
  });

  it("leaves no process behind of a worker that is killed, however long its job is", async () => {
    const jobs = await jobsOf(1, 1e9);
    const [worker] = await start(1);
    const controller = new AbortController();
    const outcome = executor.execute(jobs, controller.signal).next();
    await untilThereAre(1, "active");
    await until(() => worker.children().length > 0);
    const children = worker.children();
    worker.kill("SIGKILL");
    await until(() => !children.some(isRunning));
    controller.abort(new Error("enough"));
    await expect(outcome).rejects.toThrow("enough");
  });

  it("leaves no process behind of a worker that is gone before the process begins", async () => {
    const notItsParent = String(process.ppid);
    const child = fork(compiled("redis-child.js"), [notItsParent]);
    expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
  });

  it("has a worker that is stopped give its job back at once", async () => {
    const jobs = await longJobs(2);
    const [first, other] = await start(2);
    const outcomes = outcomesOf(executor, jobs);
    await untilThereAre(2, "active");
    first.kill("SIGTERM");
    expect(await first.ended).toBe(0);
    expect(await outcomes).toEqual(await outcomesHere(jobs));
    expect(other.said("its worker is gone")).toEqual([]);
  });

  it("takes over what was executed for a submitter that is gone", async () => {
    const jobs = await jobsOf(5);
    const [worker] = await start(1);
    const gone = executor.execute(jobs, new AbortController().signal);
    await gone.next();
    await untilThereAre(5, "completed");
    worker.kill("SIGKILL");
    await worker.ended;
    const again = new RedisExecutor(server.url, () => {});
    expect(await outcomesOf(again, jobs)).toEqual(await outcomesHere(jobs));
    await gone.return(undefined);
  });

  it("survives a restart of Redis that loses all jobs", async () => {
    const jobs = await longJobs(1);
    const [worker] = await start(1);
    const outcomes = outcomesOf(executor, jobs);
    await untilThereAre(1, "active");
    await server.stop();
    await until(() => worker.said("lost the connection").length === 1);
    await server.start();
    expect(await outcomes).toEqual(await outcomesHere(jobs));
    expect(worker.said("connected to").length).toBe(1);
  });

  it("has at most a thousand jobs in the queue, and takes them out when it is aborted", async () => {
    const jobs = await jobsOf(1);
    const many = Array.from({ length: 1500 }, (_, index) => ({ ...jobs[0], key: `job ${index}` }));
    const controller = new AbortController();
    const outcome = executor.execute(many, controller.signal).next();
    await untilThereAre(1000, "waiting");
    controller.abort(new Error("enough"));
    await expect(outcome).rejects.toThrow("enough");
    expect(await isEmpty()).toBe(true);
  });

  it("says that a server may lose jobs", async () => {
    await redis.config("SET", "maxmemory-policy", "allkeys-lru");
    await outcomesOf(executor, []);
    await redis.config("SET", "maxmemory-policy", "noeviction");
    expect(notes[0]).toBe(`${server.url} may lose jobs: its maxmemory-policy is allkeys-lru, not noeviction`);
  });

  it("runs a patch from its source on workers that were started for it, and on no other", async () => {
    const patches = [
      { name: "mine", source: "{ handleEptMisconfig() { return this.original.handleEptMisconfig(); } }" },
    ];
    const spec = (seeds: number) =>
      parseSweep({ name: "patched", base: { ...BASE, patches }, axes: {}, seeds });
    const [job, other] = (await pointsOf(spec(2))) as Job[];
    const [worker] = await start(1);
    const error =
      `scenario: patches: "mine" comes with its source, which the worker on ${hostname()} does not run; ` +
      "allowed: patches that it has in its files; started with --allow-patch-source it runs any";
    expect(await outcomesOf(executor, [job])).toEqual({ [job.key]: { status: "failed", error } });
    await worker.stop();
    expect(worker.said('"mine" comes with its source')).toHaveLength(1);
    const allowing = new WorkerProcess(server.url, 1, "--allow-patch-source");
    workers.push(allowing);
    await allowing.ready();
    expect(await outcomesOf(executor, [other])).toEqual(await outcomesHere([other]));
    expect(allowing.said("comes with its source")).toEqual([]);
  });

  it("takes what is in the queue for data, whoever put it there", async () => {
    const [worker] = await start(1);
    const code = "require('node:fs').writeFileSync('owned', '')";
    const [{ key, scenario }] = await jobsOf(1);
    await queue.addBulk([
      { name: code, data: code, opts: { jobId: "text" } },
      { name: "run", data: null, opts: { jobId: "nothing" } },
      { name: "run", data: { scenario: { ...BASE, cpu: code } }, opts: { jobId: "cpu" } },
      { name: "run", data: { scenario }, opts: { jobId: "forged" } },
      { name: "run", data: { scenario, processor: "/tmp/owned.js" }, opts: { jobId: key } },
    ]);
    await untilThereAre(5, "completed");
    const outcome = async (id: string) => ((await queue.getJob(id)) as QueuedJob).returnvalue;
    const allowed = "scenario: is missing; allowed: an object with";
    const refused = (error: string) => ({ status: "failed", error: expect.stringContaining(error) });
    expect(await outcome("text")).toMatchObject(refused(allowed));
    expect(await outcome("nothing")).toMatchObject(refused(allowed));
    expect(await outcome("cpu")).toMatchObject(refused("scenario: cpu: "));
    expect(await outcome("forged")).toMatchObject(
      refused("scenario: gives another key here than the job has"),
    );
    expect(await outcome(key)).toMatchObject({ status: "done" });
    await worker.stop();
    expect(worker.said("attempt")).toEqual([]);
  });
});

describe("a server that cannot be used", () => {
  const url = "redis://user:secret@127.0.0.1:1";
  const message = "redis: redis://127.0.0.1:1 cannot be used: connect ECONNREFUSED 127.0.0.1:1";

  it("ends a sweep and a worker with a line that names it, without the password", async () => {
    const sweep = outcomesOf(new RedisExecutor(url, () => {}), await jobsOf(1));
    await expect(sweep).rejects.toThrow(message);
    await expect(sweep).rejects.not.toThrow("secret");
    const worker = new WorkerProcess(url);
    expect(await worker.ended).toBe(1);
    expect(worker.lines).toEqual([`exitlab: ${message}; allowed: a Redis server that is running`]);
  });

  it.each([
    ["secret@localhost:6379", "redis: is no URL"],
    ["http://localhost:6379", "redis: http: is not allowed"],
    ["redis://", "redis: redis: is not allowed"],
  ])("is not sought at %s", (text, refusal) => {
    expect(() => shownUrl(text)).toThrow(refusal);
  });

  it.each([
    ["redis://user:secret@host:6380/2?password=secret", "redis://host:6380/2"],
    ["rediss://host", "rediss://host"],
    ["/run/redis.sock?password=secret", "/run/redis.sock"],
  ])("is shown as %s without its secrets", (text, shown) => {
    expect(shownUrl(text)).toBe(shown);
  });
});

describe("a recording that a job names", () => {
  const { workload: _, doorbells: __, accesses: ___, ...machine } = BASE;

  function execute(file: string): Promise<Outcome> {
    const data = { scenario: { ...machine, recording: { file, format: "lackey" } } };
    return executeQueued({ key: "by-hand", data }, false);
  }

  it.each(["/etc/passwd", "../passwd", "test/../../passwd", "."])("is not read at %s", async (file) => {
    expect(await execute(file)).toMatchObject({
      status: "failed",
      error: expect.stringMatching(/^scenario: recording\.file: ".*" is not allowed; allowed: a path below/),
    });
  });

  it.each(["test/nowhere.trace", dataPath("nowhere.trace")])("is read at %s", async (file) => {
    expect(await execute(file)).toMatchObject({
      status: "failed",
      error: expect.not.stringContaining("is not allowed; allowed: a path below"),
    });
  });
});
