/**
 * What is timed: the processor time of the process, user and system, in nanoseconds. On a machine that does other things, too,
 * the time on the wall tells more of them.
 */
export function processorTime() {
  const { user, system } = process.cpuUsage();
  return 1000 * (user + system);
}
