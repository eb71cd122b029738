/** What the tests of the Redis executor share: a server of their own, and workers as a user starts them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { vi } from "vitest";
import { findRedisServer } from "../../../src/setup/provision.mjs";

const MAIN = join(import.meta.dirname, "../../../dist/cli/main.js");

export const redisProgram = findRedisServer();

/** A server on a socket in a temporary folder, which keeps nothing. */
export class RedisServer {
  private readonly folder = mkdtempSync(join(tmpdir(), "exitlab-redis-"));
  /** As `--redis` takes it. */
  readonly url = join(this.folder, "redis.sock");
  private process: ChildProcess | undefined;

  async start(): Promise<void> {
    const kept = ["--save", "", "--appendonly", "no", "--dir", this.folder];
    const args = ["--port", "0", "--unixsocket", this.url, ...kept];
    this.process = spawn(redisProgram as string, args, { argv0: "redis-server", stdio: "ignore" });
    const redis = new Redis(this.url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
    redis.on("error", () => {});
    await redis.ping();
    redis.disconnect();
  }

  async stop(): Promise<void> {
    this.process?.kill("SIGKILL");
    if (this.process) await once(this.process, "exit");
  }

  removeFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** `exitlab worker`, in a process of its own. */
export class WorkerProcess {
  private readonly process: ChildProcess;
  /** What it printed, by line. */
  readonly lines: string[] = [];
  /** Its exit status, when all that it printed is in `lines`. */
  readonly ended: Promise<number | null>;

  constructor(url: string, jobs = 1, ...options: readonly string[]) {
    const args = [MAIN, "worker", "--redis", url, "--jobs", String(jobs), ...options];
    this.process = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on("data", (text) => this.lines.push(...String(text).trimEnd().split("\n")));
    }
    this.ended = once(this.process, "close").then(([status]) => status);
  }

  /** Those of its lines that contain a text. */
  said(text: string): string[] {
    return this.lines.filter((line) => line.includes(text));
  }

  async ready(): Promise<this> {
    await until(() => this.said("ready for jobs").length > 0);
    return this;
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Has it end in its own time, and all that it printed read: it tells of an outcome after it has sent it. */
  async stop(): Promise<void> {
    this.kill("SIGTERM");
    await this.ended;
  }

  /** The processes that execute its jobs. */
  children(): string[] {
    return readdirSync("/proc").filter((pid) => parentOf(pid) === this.process.pid);
  }

  /** Kills the processes that execute its jobs, and tells whether there were any. */
  killChildren(): boolean {
    const children = this.children();
    for (const pid of children) process.kill(Number(pid), "SIGKILL");
    return children.length > 0;
  }
}

/** The process whose child it is, from the kernel's "pid (name) state parent ...". */
function parentOf(pid: string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // It is no process, or ended meanwhile.
    return null;
  }
}

/** Whether a process is there, and not only what its parent has not taken note of. */
export function isRunning(pid: string): boolean {
  try {
    return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/** Waits for something that happens elsewhere. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitUntil(condition, { interval: 20, timeout: 60_000 });
}
