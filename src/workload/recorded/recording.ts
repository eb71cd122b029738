/**
 * Recordings that a simulation replays: memory accesses of a process, or what a guest did by its exits. They are streamed:
 * however long a recording is, it takes the same memory.
 */
import { RecordingFile } from "./recording-file.js";
import { type RecordingFormat, type RecordingSummary, StepReader } from "./step-reader.js";
import type { Steps } from "./steps.js";

export { digestOfFile } from "./recording-file.js";
export { RECORDING_FORMATS, type RecordingFormat, type RecordingSummary } from "./step-reader.js";
export { LINEAR_LIMIT, Steps } from "./steps.js";

/** Whether a format's addresses are linear addresses of a process, or guest-physical. */
export const ADDRESSES: Readonly<Record<RecordingFormat, "linear" | "guest-physical">> = {
  lackey: "linear",
  drmemtrace: "linear",
  csv: "linear",
  ftrace: "guest-physical",
};

export class Recording {
  private readonly file: RecordingFile;
  private reader: StepReader;

  /**
   * @param path of a file of lines, perhaps packed with gzip
   * @throws InputError for a file that is not there
   */
  constructor(
    private readonly path: string,
    private readonly format: RecordingFormat,
  ) {
    this.file = new RecordingFile(path);
    this.reader = new StepReader(path, format);
  }

  /** How far it has been read: bytes of the file, packed as they are, and of how many. */
  get progress(): { readonly bytes: number; readonly totalBytes: number } {
    return { bytes: this.file.bytesRead, totalBytes: this.file.totalBytes };
  }

  /** What was read so far. */
  get summary(): RecordingSummary {
    return this.reader.summary;
  }

  /**
   * The recording from its beginning, piece by piece. The next piece takes the place of the one before. Where the iteration
   * ends, the file is closed.
   * @throws InputError for a line that the format does not have, a file that cannot be read or unpacked, and for no step
   */
  async *steps(): AsyncGenerator<Steps> {
    const reader = new StepReader(this.path, this.format);
    this.reader = reader;
    for await (const chunk of this.file.chunks()) yield* reader.take(chunk);
    yield* reader.finish();
  }
}
