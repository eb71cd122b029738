/** An eventfd of this process. */
import { libc } from "./libc.js";

const counter = new BigUint64Array(1);
const bytes = new Uint8Array(counter.buffer);

/** Reads an eventfd by its descriptor: how often it was signalled since the last time. */
export function eventfdCount(fd: number): number {
  return libc().read(fd, bytes) === 0 ? 0 : Number(counter[0]);
}

export class HostEventFd {
  private closed = false;
  private readonly descriptor: number;

  /** @throws SystemCallError */
  constructor() {
    this.descriptor = libc().eventfd();
  }

  /** @throws Error once it is closed: its number may be another's by then */
  get fd(): number {
    if (this.closed) throw new Error("the eventfd has been closed");
    return this.descriptor;
  }

  /** How often it was signalled since it was read last; 0: not at all. */
  read(): number {
    return eventfdCount(this.fd);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    libc().close(this.descriptor);
  }
}
