/**
 * Exits by reason, and what each of them did: the distinct vectors of counts between an exit and the entry after it, with
 * how often each occurred. Times a cost vector they are the table that `perf kvm stat report` prints.
 */

/** One way that exits of a reason went. */
export interface ExitVector {
  /** VMX exit reason or SVM exit code. */
  readonly reason: number;
  /** How many exits went so. */
  occurrences: number;
  /** What each of them counted, in the order of the ledger. */
  readonly counts: Float64Array;
}

/** An exit that is being handled. */
interface OpenExit {
  readonly before: Float64Array;
  /** What other exits counted within it: a handler may let others run. */
  readonly within: Float64Array;
}

export class ExitCounts {
  private readonly vectors = new Map<string, ExitVector>();
  /** One for each depth that was reached; they are used again, for an exit is counted in less time than two arrays are made. */
  private readonly exits: OpenExit[] = [];
  /** How many of them are open. */
  private depth = 0;

  /** An exit is about to be handled. */
  begin(counts: Float64Array): void {
    const { length } = counts;
    this.exits[this.depth] ??= { before: new Float64Array(length), within: new Float64Array(length) };
    const { before, within } = this.exits[this.depth++];
    before.set(counts);
    within.fill(0);
  }

  /** It has been handled. */
  end(reason: number, counts: Float64Array): void {
    if (this.depth === 0) throw new Error("an exit ends that has not begun");
    const { before, within } = this.exits[--this.depth];
    let key = `${reason}`;
    for (let index = 0; index < counts.length; index++) {
      const own = counts[index] - before[index] - within[index];
      if (own !== 0) key += ` ${index}:${own}`;
    }
    const known = this.vectors.get(key);
    if (known !== undefined) known.occurrences++;
    else {
      const own = counts.map((count, index) => count - before[index] - within[index]);
      this.vectors.set(key, { reason, occurrences: 1, counts: own });
    }
    if (this.depth === 0) return;
    const outer = this.exits[this.depth - 1].within;
    for (let index = 0; index < counts.length; index++) outer[index] += counts[index] - before[index];
  }

  /** An exit whose handling has failed is not counted. */
  abandon(): void {
    this.depth--;
  }

  /** All vectors, in the order of their first exit. */
  get all(): readonly Readonly<ExitVector>[] {
    return [...this.vectors.values()];
  }

  /** Number of exits by reason. */
  get byReason(): ReadonlyMap<number, number> {
    const exits = new Map<number, number>();
    for (const { reason, occurrences } of this.vectors.values()) {
      exits.set(reason, (exits.get(reason) ?? 0) + occurrences);
    }
    return exits;
  }
}
