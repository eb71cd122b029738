/**
 * A thread of a worker's child process, which ends the process when the worker is gone: the process itself is busy computing
 * and does not notice.
 */

/** Milliseconds between two looks. */
const LOOK = 500;

const worker = process.ppid;

setInterval(() => {
  if (process.ppid !== worker) process.kill(process.pid, "SIGKILL");
}, LOOK);
