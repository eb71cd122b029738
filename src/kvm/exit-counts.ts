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

export class ExitCounts {
  private readonly vectors = new Map<string, ExitVector>();
  private before: Float64Array = new Float64Array(0);

  /** An exit is about to be handled. */
  begin(counts: Float64Array): void {
    if (this.before.length !== counts.length) this.before = new Float64Array(counts.length);
    this.before.set(counts);
  }

  /** It has been handled. */
  end(reason: number, counts: Float64Array): void {
    const { before } = this;
    let key = `${reason}`;
    for (let index = 0; index < counts.length; index++) {
      const change = counts[index] - before[index];
      if (change !== 0) key += ` ${index}:${change}`;
    }
    const known = this.vectors.get(key);
    if (known !== undefined) {
      known.occurrences++;
      return;
    }
    this.vectors.set(key, {
      reason,
      occurrences: 1,
      counts: counts.map((count, index) => count - before[index]),
    });
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
