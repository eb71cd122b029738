/** An eventfd of this process. */
import { libc } from "./libc.js";

export class HostEventFd {
  private closed = false;
  private readonly bytes = new Uint8Array(8);
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
    if (libc().read(this.fd, this.bytes) === 0) return 0;
    return Number(new DataView(this.bytes.buffer).getBigUint64(0, true));
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    libc().close(this.descriptor);
  }
}
