/**
 * A thread of a worker's child process, which ends the process when the worker is gone: the process itself is busy computing
 * and does not notice. It is told who the worker is, which may be gone before this thread begins.
 */
import { workerData } from "node:worker_threads";

/** Milliseconds between two looks. */
const LOOK = 500;

const worker: number = workerData;

setInterval(() => {
  if (process.ppid !== worker) process.kill(process.pid, "SIGKILL");
}, LOOK);
