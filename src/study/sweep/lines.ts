/**
 * The lines of a file, as bytes and one after another, so that a file may be larger than memory would hold as text.
 */
import { closeSync, openSync, readSync } from "node:fs";

const CHUNK = 1 << 20;
const NEWLINE = 0x0a;

export interface Line {
  /** Without the newline. */
  readonly bytes: Buffer;
  /** Bytes of the file up to here, newline included. */
  readonly end: number;
  /** Whether it ends in a newline; only the last may not. */
  readonly whole: boolean;
}

/** @throws Error of the file system */
export function* linesOf(path: string): Generator<Line> {
  const file = openSync(path, "r");
  try {
    let begun: Buffer[] = [];
    let end = 0;
    for (let chunk = nextChunk(file); chunk.length > 0; chunk = nextChunk(file)) {
      let from = 0;
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
        const bytes = Buffer.concat([...begun, chunk.subarray(from, at)]);
        end += bytes.length + 1;
        yield { bytes, end, whole: true };
        begun = [];
        from = at + 1;
      }
      if (from < chunk.length) begun.push(chunk.subarray(from));
    }
    const bytes = Buffer.concat(begun);
    if (bytes.length > 0) yield { bytes, end: end + bytes.length, whole: false };
  } finally {
    closeSync(file);
  }
}

/** Empty at the end of the file. */
function nextChunk(file: number): Buffer {
  const chunk = Buffer.allocUnsafe(CHUNK);
  return chunk.subarray(0, readSync(file, chunk));
}
