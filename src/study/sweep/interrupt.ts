/** Ctrl-C, the interrupt of a notebook's kernel, and the polite end of a process, as a signal to what can stop. */

import { setImmediate as nextTurn } from "node:timers/promises";

/** The reason of a signal that a person or the system raised. */
export class Interrupted extends Error {
  constructor(readonly signal: NodeJS.Signals) {
    super("interrupted; what is finished is kept, and the same call goes on from there");
    this.name = "Interrupted";
  }
}

/** Does something that may be interrupted. The second Ctrl-C is no longer ours. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  // While a notebook's cell runs its own code, Node's vm has the signal; a handler from then is lost when it gives it back.
  await nextTurn();
  const controller = new AbortController();
  const stop = (signal: NodeJS.Signals) => controller.abort(new Interrupted(signal));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}
