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
  /** Counts before each exit that is being handled, and what other exits counted within it: a handler may let others run. */
  private readonly open: { readonly before: Float64Array; readonly within: Float64Array }[] = [];

  /** An exit is about to be handled. */
  begin(counts: Float64Array): void {
    this.open.push({ before: counts.slice(), within: new Float64Array(counts.length) });
  }

  /** It has been handled. */
  end(reason: number, counts: Float64Array): void {
    const exit = this.open.pop();
    if (exit === undefined) throw new Error("an exit ends that has not begun");
    const { before, within } = exit;
    const outer = this.open.at(-1)?.within;
    const own = counts.map((count, index) => count - before[index] - within[index]);
    outer?.forEach((count, index) => {
      outer[index] = count + counts[index] - before[index];
    });
    let key = `${reason}`;
    own.forEach((count, index) => {
      if (count !== 0) key += ` ${index}:${count}`;
    });
    const known = this.vectors.get(key);
    if (known !== undefined) known.occurrences++;
    else this.vectors.set(key, { reason, occurrences: 1, counts: own });
  }

  /** An exit whose handling has failed is not counted. */
  abandon(): void {
    this.open.pop();
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
