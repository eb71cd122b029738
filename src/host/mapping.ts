/** Anonymous memory of this process that a guest may get as a memory slot. */
import { libc } from "./libc.js";
import { SystemCallError } from "./system-call-error.js";

const MADV_DONTNEED = 4;
const MADV_NOHUGEPAGE = 15;

export class Mapping {
  /** Address in this process. */
  readonly address: bigint;
  private view: Uint8Array | null;

  /**
   * Memory of 4-Kbyte pages, which stay as small.
   *
   * @param bytes a multiple of 4096, at most 4 Gbyte
   * @throws SystemCallError, RangeError
   */
  constructor(readonly bytes: number) {
    this.address = libc().mmap(bytes);
    try {
      this.keepPagesSmall();
      this.view = new Uint8Array(libc().view(this.address, bytes));
    } catch (error) {
      libc().munmap(this.address, bytes);
      throw error;
    }
  }

  /**
   * Its bytes. Whoever keeps them beyond `release()` must not touch them: there is no memory behind them, and the process ends.
   * @throws Error once it is released
   */
  get data(): Uint8Array {
    if (this.view === null) throw new Error("the mapping has been released");
    return this.view;
  }

  /** Gives its pages back: they are zeros, and the next access to each finds none. */
  discard(): void {
    libc().madvise(this.address, this.bytes, MADV_DONTNEED);
  }

  release(): void {
    if (this.view === null) return;
    this.view = null;
    libc().munmap(this.address, this.bytes);
  }

  /** Keeps transparent huge pages away. A kernel that has none says EINVAL. */
  private keepPagesSmall(): void {
    try {
      libc().madvise(this.address, this.bytes, MADV_NOHUGEPAGE);
    } catch (error) {
      if (!(error instanceof SystemCallError && error.code === "EINVAL")) throw error;
    }
  }
}
