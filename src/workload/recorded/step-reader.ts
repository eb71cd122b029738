/** From a recording's bytes to its steps, piece by piece, with an account of every line. */
import { InputError } from "../../cost/input.js";
import { CsvReader } from "./csv.js";
import { DrmemtraceReader } from "./drmemtrace.js";
import { FtraceReader } from "./ftrace.js";
import { LackeyReader } from "./lackey.js";
import { Line } from "./line.js";
import type { LineReader } from "./line-reader.js";
import { LineSplitter } from "./line-splitter.js";
import { Output, Steps } from "./steps.js";

export const RECORDING_FORMATS = ["lackey", "drmemtrace", "csv", "ftrace"] as const;
export type RecordingFormat = (typeof RECORDING_FORMATS)[number];

const READERS: Readonly<Record<RecordingFormat, new (output: Output) => LineReader>> = {
  lackey: LackeyReader,
  drmemtrace: DrmemtraceReader,
  csv: CsvReader,
  ftrace: FtraceReader,
};

/** Steps of a piece, at most. */
const PIECE = 8192;

/** What was read of a recording so far. */
export interface RecordingSummary {
  readonly lines: number;
  readonly steps: number;
  /** What gave no step, by kind. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** What a reader of the results has to know. */
  readonly notes: readonly string[];
}

export class StepReader {
  private readonly output = new Output(new Steps(PIECE));
  private readonly line: Line;
  private readonly splitter: LineSplitter;
  private readonly reader: LineReader;
  private given = 0;

  /** @param path for messages */
  constructor(
    private readonly path: string,
    private readonly format: RecordingFormat,
  ) {
    this.line = new Line(path);
    this.splitter = new LineSplitter(this.line);
    this.reader = new READERS[format](this.output);
  }

  get summary(): RecordingSummary {
    const { leftOut, notes } = this.output;
    return { lines: this.line.number, steps: this.given, leftOut: leftOut.toObject(), notes: [...notes] };
  }

  /** Takes the next bytes. @throws InputError */
  *take(chunk: Buffer): Generator<Steps> {
    this.splitter.take(chunk);
    while (this.fill()) yield* this.piece();
  }

  /** After the last bytes. @throws InputError */
  *finish(): Generator<Steps> {
    if (this.splitter.last()) this.lastLine();
    for (let done = false; !done; ) {
      done = this.reader.end();
      yield* this.piece();
    }
    if (this.given === 0) throw this.empty();
  }

  /** Reads lines until the steps are full. False: the bytes are used up before. */
  private fill(): boolean {
    const { splitter, reader, line } = this;
    const { steps } = this.output;
    while (!steps.full) {
      if (!splitter.next()) return false;
      reader.line(line);
    }
    return true;
  }

  private *piece(): Generator<Steps> {
    const { steps } = this.output;
    if (steps.length === 0) return;
    this.given += steps.length;
    yield steps;
    steps.length = 0;
  }

  /** A line without line end. A CSV file may end so; where a program wrote the lines, it was perhaps stopped. */
  private lastLine(): void {
    if (this.format === "csv") {
      this.reader.line(this.line);
      return;
    }
    const { leftOut, notes } = this.output;
    notes.add("the last line has no line end: it may have been cut");
    try {
      this.reader.line(this.line);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      leftOut.add("last line, cut");
    }
  }

  private empty(): InputError {
    const { lines, leftOut } = this.summary;
    const kinds = Object.entries(leftOut).map(([kind, count]) => `, ${count} x ${kind}`);
    return new InputError(this.path, `has no step (lines: ${lines}${kinds.join("")})`, "at least one step");
  }
}
