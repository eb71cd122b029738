/**
 * The record of a sweep: what each point yielded, kept as soon as it is there, so that a sweep that was ended in any way goes
 * on where it was.
 *
 * A file of JSON Lines that only grows. Line 1 is the head, `{"journal":"exitlab sweep","sweep":...,"spec":...}`; each other
 * is a point that has ended, in order of end, and the last line of a key counts. Every line ends in a checksum of itself, see
 * `journal-line.ts`. A line is with the system before the next one begins, which outlives the process, and on disk a second
 * later; so what ends the process can damage only the last, and it is removed when the journal is opened again. Damage
 * anywhere else is not repaired but reported.
 */
import { closeSync, existsSync, fdatasyncSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { InputError } from "../../cost/input.js";
import type { Measured } from "../run/run.js";
import { firstDifference } from "./first-difference.js";
import { sealed, unsealed } from "./journal-line.js";
import { lockJournal } from "./journal-lock.js";
import { type Line, linesOf } from "./lines.js";
import { makeFolder, writeWhole } from "./whole-file.js";

export interface JournalHead {
  /** Name of the sweep. */
  readonly sweep: string;
  /** The specification, as JSON holds it. */
  readonly spec: object;
  /** Which part of the points, such as "1/3"; absent for all. */
  readonly shard?: string;
}

/** A point that has ended. */
export interface JournalEntry {
  /** Names the run: equal keys, equal results. */
  readonly key: string;
  /** Digest of the simulation core, 8 hex digits. */
  readonly model: string;
  /** Values by field, seed included. */
  readonly point: Readonly<Record<string, unknown>>;
  readonly status: "done" | "failed";
  /** Of a point that is done. */
  readonly result?: Measured;
  /** Of a point that failed, one line. */
  readonly error?: string;
  /** Wall time in milliseconds. */
  readonly ms: number;
}

/** A journal as it was read. */
export interface JournalContents {
  readonly head: JournalHead;
  /** In order of lines. */
  readonly entries: readonly JournalEntry[];
  /** At the end of the file, of a line that was cut off or damaged. */
  readonly tornBytes: number;
}

/** Milliseconds between two syncs to disk: each takes as long as a short run. */
const SYNC_INTERVAL = 1000;

/** How the head's line begins. */
const MARK = '{"journal":"exitlab sweep",';

export class Journal {
  private synced = performance.now();

  private constructor(
    private readonly path: string,
    /** -1 once it is closed. */
    private file: number,
    /** Bytes of the file. */
    private size: number,
    private readonly byKey: Map<string, JournalEntry>,
    /** What was repaired when it was opened, one line, or null. */
    readonly repaired: string | null,
    private readonly unlock: () => void,
  ) {}

  /**
   * Opens a journal for writing, and makes it and its folder where they are not there. Until it is closed no other process
   * can open it.
   *
   * @throws InputError for a journal that another process has open, that has another specification, or that is damaged before
   *   its last line; for a file that is no journal; for one that cannot be read or written
   */
  static open(path: string, head: JournalHead): Journal {
    return accessing(path, () => {
      makeFolder(dirname(path));
      const unlock = lockJournal(path);
      try {
        return Journal.openLocked(path, head, unlock);
      } catch (error) {
        unlock();
        throw error;
      }
    });
  }

  private static openLocked(path: string, head: JournalHead, unlock: () => void): Journal {
    const found = scan(path);
    let { end } = found;
    if (found.head === undefined) {
      const line = sealed({ journal: "exitlab sweep", ...head });
      writeWhole(path, [line]);
      end = Buffer.byteLength(line);
    } else {
      Journal.checkSpec(path, found.head, head);
    }
    const file = openSync(path, "a");
    try {
      ftruncateSync(file, end);
      fdatasyncSync(file);
    } catch (error) {
      closeSync(file);
      throw error;
    }
    const byKey = new Map(found.entries.map((entry) => [entry.key, entry]));
    return new Journal(path, file, end, byKey, repairOf(path, found), unlock);
  }

  /**
   * Reads a journal that may be open elsewhere; undefined where there is none, or none of its head.
   *
   * @throws InputError for a file that is no journal, that is damaged before its last line or cannot be read
   */
  static read(path: string): JournalContents | undefined {
    const { head, entries, end, size } = accessing(path, () => scan(path));
    return head && { head, entries, tornBytes: size - end };
  }

  /** @throws InputError unless a journal's head, `was`, is of the same specification, and names the first difference */
  static checkSpec(path: string, was: JournalHead, is: JournalHead): void {
    if (was.sweep !== is.sweep) {
      throw new InputError(path, `is the journal of sweep "${was.sweep}"`, `one of sweep "${is.sweep}"`);
    }
    if (was.shard !== is.shard) {
      throw new InputError(path, `is the journal of ${partOf(was)}`, `one of ${partOf(is)}`);
    }
    const difference = firstDifference(was.spec, JSON.parse(JSON.stringify(is.spec)));
    if (difference === undefined) {
      if (JSON.stringify(rowOrder(was)) === JSON.stringify(rowOrder(is))) return;
      const allowed = "the same order, which is that of the rows; choose another name for another order";
      throw new InputError(`sweep "${is.sweep}"`, "has its axes in another order than before", allowed);
    }
    throw new InputError(
      `sweep "${is.sweep}": ${difference.path}`,
      `was ${difference.was}, is now ${difference.is}`,
      "the same specification; choose another name for a changed one",
    );
  }

  /** The last entry of each key. */
  get entries(): ReadonlyMap<string, JournalEntry> {
    return this.byKey;
  }

  /** The entry outlives the process when this returns. @throws InputError if it cannot; the journal then is as it was */
  append(entry: JournalEntry): void {
    const line = Buffer.from(sealed(entry));
    accessing(this.path, () => {
      try {
        const written = writeSync(this.file, line);
        if (written < line.length) {
          const found = `has no room: ${written} of ${line.length} bytes of a line were written`;
          throw new InputError(this.path, found, "a disk with room for it");
        }
        this.syncNowAndThen();
      } catch (error) {
        ftruncateSync(this.file, this.size);
        throw error;
      }
    });
    this.size += line.length;
    this.byKey.set(entry.key, entry);
  }

  private syncNowAndThen(): void {
    if (performance.now() - this.synced < SYNC_INTERVAL) return;
    fdatasyncSync(this.file);
    this.synced = performance.now();
  }

  /** Lets others open it. */
  close(): void {
    if (this.file < 0) return;
    fdatasyncSync(this.file);
    closeSync(this.file);
    this.file = -1;
    this.unlock();
  }
}

/** What a file holds. */
interface Scan {
  /** Undefined for a file that is not there, or holds no more than a damaged head. */
  readonly head: JournalHead | undefined;
  readonly entries: readonly JournalEntry[];
  /** Bytes up to the end of the last good line. */
  readonly end: number;
  readonly size: number;
  readonly lines: number;
  /** What is wrong with the last line, or null. */
  readonly wrong: string | null;
}

function scan(path: string): Scan {
  let head: JournalHead | undefined;
  const entries: JournalEntry[] = [];
  let end = 0;
  let size = 0;
  let lines = 0;
  let wrong: string | null = null;
  for (const line of existsSync(path) ? linesOf(path) : []) {
    if (wrong !== null) throw damaged(path, lines, wrong);
    lines++;
    size = line.end;
    if (lines === 1 && !mayBeHead(line)) {
      throw new InputError(path, "is no journal of a sweep", "a journal, or a name that is free");
    }
    const read = unsealed(line);
    if ("wrong" in read) {
      wrong = read.wrong;
    } else if (lines === 1) {
      const { sweep, spec, shard } = read.record as JournalHead;
      head = { sweep, spec, ...(shard !== undefined && { shard }) };
    } else if (!("key" in read.record)) {
      wrong = "is no point of a sweep";
    } else {
      entries.push(read.record as JournalEntry);
    }
    if (wrong === null) end = line.end;
  }
  return { head, entries, end, size, lines, wrong };
}

/** Whether a first line begins as a head does, if only in part; the zeros that a loss of power leaves count too. */
function mayBeHead({ bytes, whole }: Line): boolean {
  if (!whole && bytes.every((byte) => byte === 0)) return true;
  const begun = bytes.toString("latin1", 0, MARK.length);
  return whole ? begun === MARK : MARK.startsWith(begun);
}

function damaged(path: string, line: number, wrong: string): InputError {
  const way = line === 1 ? "give the sweep another name" : "remove the line to run its point again";
  return new InputError(
    `${path}: line ${line}`,
    wrong,
    `a line as it was written; restore the file, or ${way}`,
  );
}

function repairOf(path: string, { wrong, lines, size, end }: Scan): string | null {
  return wrong && `${path}: line ${lines} ${wrong}; its ${size - end} bytes were removed`;
}

function partOf({ shard }: JournalHead): string {
  return shard === undefined ? "the whole sweep" : `shard ${shard}`;
}

/** What of a specification decides the order of its rows. */
function rowOrder({ spec }: JournalHead): unknown[] {
  const { axes, zip } = spec as { readonly axes?: unknown; readonly zip?: unknown };
  return [axes, zip];
}

/** Does something with a file; what the system refuses is a mistake in the path. */
function accessing<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    throw new InputError(path, message, "a file that can be read and written");
  }
}
