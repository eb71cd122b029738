/**
 * Who may write a journal: one process at a time, by a lock file beside it, "<journal>.lock.<host>.<pid>.<start>". `start` is
 * the process's start time as /proc/<pid>/stat has it (proc_pid_stat(5), starttime), 0 where there is none; so a process
 * that got the pid of an earlier one is not taken for it.
 *
 * Each process makes the file that bears its name and then looks for those of others; it withdraws if one of them is alive.
 * Of two that come at once at least one sees the other, and nobody has to take a file over, so that there is no moment in
 * which two could.
 */
import { closeSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { InputError } from "../../cost/input.js";

/** A process that was just killed may be in a write that it has to finish; so long it is waited for, in milliseconds. */
const PATIENCE = 1000;

/** A process as the name of its lock file gives it. */
interface Owner {
  readonly file: string;
  readonly host: string;
  readonly pid: number;
  readonly start: string;
}

/**
 * Locks a journal, whose folder is there, and returns what releases it; the end of the process does so too.
 *
 * @throws InputError while another process has it, or this one already
 */
export function lockJournal(path: string): () => void {
  const { pid } = process;
  const start = processState(pid)?.start ?? "0";
  const file = `${resolve(path)}.lock.${hostname()}.${pid}.${start}`;
  const own = { file, host: hostname(), pid, start };
  const release = () => {
    rmSync(own.file, { force: true });
    process.off("exit", release);
  };
  const deadline = performance.now() + PATIENCE;
  for (;;) {
    claim(path, own);
    process.once("exit", release);
    const others = ownersOf(path).filter(({ file }) => file !== own.file);
    const holder = others.find(isAlive);
    if (holder === undefined) {
      for (const { file } of others) rmSync(file, { force: true });
      return release;
    }
    release();
    if (holder.host !== own.host || performance.now() > deadline) throw held(path, holder);
    // At random, so that two that withdrew for each other do not meet again.
    sleep(5 + Math.random() * 45);
  }
}

function claim(path: string, own: Owner): void {
  try {
    closeSync(openSync(own.file, "wx"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw held(path, own);
    throw error;
  }
}

function held(path: string, { file, host, pid }: Owner): InputError {
  return new InputError(
    path,
    `is being written by process ${pid} on host ${host}`,
    `one process at a time; if that one is gone, remove ${file}`,
  );
}

function ownersOf(path: string): Owner[] {
  const folder = dirname(resolve(path));
  const prefix = `${basename(path)}.lock.`;
  return readdirSync(folder).flatMap((name) => {
    const parts = name.startsWith(prefix) && /^(.+)\.([1-9]\d*)\.(\d+)$/.exec(name.slice(prefix.length));
    if (!parts) return [];
    const [, host, pid, start] = parts;
    return [{ file: join(folder, name), host, pid: Number(pid), start }];
  });
}

/** Whether a process is there; one of another host counts as such. */
function isAlive({ host, pid, start }: Owner): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // Else it belongs to another user.
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const found = processState(pid);
  // A zombie waits for its parent only.
  return found === undefined || (found.start === start && found.state !== "Z");
}

/** A process's state and start time, or undefined where the system does not say. */
function processState(pid: number): { readonly state: string; readonly start: string } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may hold anything; the third is the state, the 22nd the start.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0], start: fields[19] };
}

function sleep(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
