/**
 * The queue in Redis that the jobs of a sweep wait in, and the way to it: what the submitter and its workers share.
 *
 * Who can write to the queue can have any scenario executed and can forge any result, so the server belongs into a network of
 * people who trust each other. What a job cannot do is bring code along, where the worker was not started for that: see
 * redis-processor.ts.
 */
import { Redis } from "ioredis";
import { InputError } from "../../cost/input.js";
import { dataVersion, modelVersion } from "../provenance.js";
import type { Scenario } from "../run/scenario.js";

/** What a job holds in the queue. Its id is the job's key, and what it returns is the job's outcome. */
export interface JobData {
  readonly scenario: Scenario;
}

/** Hears of what happens, in a line. */
export type OnEvent = (line: string) => void;

/** Where a Redis server may be. */
const ALLOWED = "redis://[user:password@]host[:port][/database], rediss://... or the path of a socket";

/** Milliseconds that a server may take to be reached. */
const CONNECT = 3000;

/** Milliseconds between two attempts to get a lost connection back. */
const RETRY = 200;

/** The queue's name. It holds the model and its data: a worker with others never sees the jobs. */
export function queueName(): string {
  return `exitlab-${modelVersion()}-${dataVersion()}`;
}

/** What a worker needs in common with a sweep, for messages. */
export function modelAndData(): string {
  return `model ${modelVersion()} and data ${dataVersion()}`;
}

/** Where the server is, as it may be shown: without user, password and options. @throws InputError */
export function shownUrl(url: string): string {
  if (url.startsWith("/")) return url.replace(/\?.*/s, "");
  // What is no URL is not repeated: there may be a password in it all the same.
  if (!URL.canParse(url)) throw new InputError("redis", "is no URL", ALLOWED);
  const { protocol, host, pathname } = new URL(url);
  if (!["redis:", "rediss:"].includes(protocol) || host === "")
    throw new InputError("redis", `${protocol} is not allowed`, ALLOWED);
  return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
}

/**
 * Connects, within seconds or not at all. When the connection, or a duplicate of it, gets lost afterwards, commands wait until
 * there is a new one.
 *
 * @param over ends the attempts to connect
 * @param onEvent hears of a server that may lose jobs
 * @throws InputError for a server that cannot be used, and what `over` was aborted with
 */
export async function connect(url: string, over: AbortSignal, onEvent: OnEvent): Promise<Redis> {
  const shown = shownUrl(url);
  let connected = false;
  let reason = "it does not answer";
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT,
    maxRetriesPerRequest: null,
    retryStrategy: () => (connected && !over.aborted ? RETRY : null),
  });
  redis.on("error", ({ message }) => {
    reason = message;
  });
  const fail = () => {
    redis.disconnect();
    over.throwIfAborted();
    throw new InputError("redis", `${shown} cannot be used: ${reason}`, "a Redis server that is running");
  };
  const policy = await within(
    redis.connect().then(() => evictionPolicy(redis)),
    CONNECT,
    fail,
    over,
  ).catch(fail);
  connected = true;
  if (policy !== "noeviction")
    onEvent(`${shown} may lose jobs: its maxmemory-policy is ${policy}, not noeviction`);
  return redis;
}

/** What the server does when its memory is full: "noeviction", or what it drops. */
async function evictionPolicy(redis: Redis): Promise<string> {
  const info = await redis.info("memory");
  return /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? "noeviction";
}

/** The promise's value; what `late` returns or throws once so many milliseconds have passed. @throws the signal's reason */
export async function within<T>(
  promise: Promise<T>,
  milliseconds: number,
  late: () => T,
  signal?: AbortSignal,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let abort = () => {};
  const passed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal?.reason);
  });
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    return await Promise.race([promise, passed.then(late), aborted]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
