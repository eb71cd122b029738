/** The bytes of a recording's file, unpacked if they are packed with gzip. */
import { createHash } from "node:crypto";
import { createReadStream, type ReadStream, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { pipeline, promises } from "node:stream";
import { createGunzip } from "node:zlib";
import { InputError } from "../../cost/input.js";

const CHUNK = 64 * 1024;
const GZIP = Buffer.from([0x1f, 0x8b]);

const READABLE = "a readable file: text, or text packed with gzip";

export class RecordingFile {
  readonly totalBytes: number;
  private stream: ReadStream | undefined;

  /** @throws InputError for a file that is not there */
  constructor(private readonly path: string) {
    try {
      this.totalBytes = statSync(path).size;
    } catch (error) {
      throw mistake(path, error);
    }
  }

  /** Bytes of the file that have been read, packed as they are. */
  get bytesRead(): number {
    return this.stream?.bytesRead ?? 0;
  }

  /** What the file holds, from its beginning. @throws InputError for a file that cannot be read or unpacked */
  async *chunks(): AsyncGenerator<Buffer> {
    try {
      const packed = await isPacked(this.path);
      const stream = createReadStream(this.path, { highWaterMark: CHUNK });
      this.stream = stream;
      try {
        // A mistake in the file comes out of the end of the pipeline.
        yield* packed ? pipeline(stream, createGunzip({ chunkSize: CHUNK }), () => {}) : stream;
      } finally {
        await closed(stream);
      }
    } catch (error) {
      throw mistake(this.path, error);
    }
  }
}

/** SHA-256 of a file's bytes, hexadecimal. @throws InputError for a file that cannot be read */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    await promises.pipeline(createReadStream(path), hash);
  } catch (error) {
    throw mistake(path, error);
  }
  return hash.digest("hex");
}

/** Closes a stream, and waits until its file is closed. */
function closed(stream: ReadStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once("close", resolve).destroy();
  });
}

async function isPacked(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(GZIP.length), 0, GZIP.length, 0);
    return bytesRead === GZIP.length && buffer.equals(GZIP);
  } finally {
    await file.close();
  }
}

function mistake(path: string, error: unknown): InputError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "Z_BUF_ERROR")
    return new InputError(path, "is cut off: its gzip data has no end", "a whole file");
  if (code?.startsWith("Z_")) return new InputError(path, `its gzip data is damaged (${message})`, READABLE);
  return new InputError(path, message, READABLE);
}
