/** Cuts a recording's bytes, as they come in chunks, into lines. */
import type { InputError } from "../../cost/input.js";
import type { Line } from "./line.js";

/** Bytes of a line. */
export const MAX_LINE = 64 * 1024;

const NUL = 0;
const NEWLINE = 0x0a;
const RETURN = 0x0d;

export class LineSplitter {
  private chunk: Buffer = Buffer.alloc(0);
  /** Where the next line starts. */
  private start = 0;
  /** Where the first NUL byte is; -1: nowhere. */
  private nul = -1;

  /** @param line that is set to each line in turn */
  constructor(private readonly line: Line) {}

  /** Takes the next bytes. What is left of those before is the beginning of their first line. */
  take(chunk: Buffer): void {
    const rest = this.chunk.subarray(this.start);
    this.chunk = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    this.start = 0;
    this.nul = this.chunk.indexOf(NUL);
  }

  /**
   * Goes to the next line. False: its end is not there yet.
   * @throws InputError for a line that is too long or no text
   */
  next(): boolean {
    const { chunk, start, nul } = this;
    const newline = chunk.indexOf(NEWLINE, start);
    const end = newline < 0 ? chunk.length : newline;
    const returned = newline > start && chunk[newline - 1] === RETURN;
    if (nul >= 0 && nul < end) throw this.mistake("has a NUL byte", "text, perhaps packed with gzip");
    if (end - start > MAX_LINE)
      throw this.mistake(`is longer than ${MAX_LINE} bytes`, `lines of at most ${MAX_LINE} bytes`);
    if (newline < 0) return false;
    this.start = newline + 1;
    this.line.set(chunk, start, returned ? newline - 1 : newline);
    return true;
  }

  /** After the last chunk: goes to the line that has no end. False: there is none. */
  last(): boolean {
    const { chunk, start } = this;
    this.start = chunk.length;
    if (start === chunk.length) return false;
    this.line.set(chunk, start, chunk.length);
    return true;
  }

  private mistake(found: string, allowed: string): InputError {
    const { chunk, start } = this;
    this.line.set(chunk, start, start);
    return this.line.error("", found, allowed);
  }
}
