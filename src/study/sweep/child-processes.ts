/**
 * Child processes that execute jobs, each one at a time. A job may run out of memory or be killed: it takes its process along,
 * and nothing else.
 *
 * BullMQ brings such processes too. In version 6.7 a job waits for ever for one that is killed while it starts, and one that
 * computes is not stopped in less than half a minute.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

export class ChildProcesses<Job extends object, Answer> {
  private readonly all = new Set<ChildProcess>();
  private idle: ChildProcess[] = [];
  private isClosed = false;

  /**
   * @param module is sent a job, and sends the answer; it ignores SIGINT, which is for all processes of a terminal
   * @param args of its command line
   */
  constructor(
    private readonly module: URL,
    private readonly args: readonly string[],
  ) {}

  /** @throws Error when the process ends before the job does */
  async execute(job: Job): Promise<Answer> {
    if (this.isClosed) throw new Error("there are no processes any more");
    const child = this.idle.pop() ?? this.start();
    const settled = new AbortController();
    const { signal } = settled;
    const ended = once(child, "exit", { signal }).then(([code, killer]) => {
      throw new Error(`its process ended with ${killer ?? `status ${code}`}`);
    });
    try {
      // What cannot be sent is for a process that ended, which is going to be said.
      child.send(job, () => {});
      const [answer] = await Promise.race([once(child, "message", { signal }), ended]);
      this.idle.push(child);
      return answer;
    } finally {
      settled.abort();
    }
  }

  /** Ends all processes, and the jobs that they execute. */
  close(): void {
    this.isClosed = true;
    for (const child of this.all) child.kill("SIGKILL");
  }

  private start(): ChildProcess {
    const child = fork(this.module, this.args);
    this.all.add(child);
    child.once("exit", () => {
      this.all.delete(child);
      this.idle = this.idle.filter((other) => other !== child);
    });
    return child;
  }
}
