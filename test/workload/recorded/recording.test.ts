import { createHash } from "node:crypto";
import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "../../../src/cost/input.js";
import {
  ADDRESSES,
  digestOfFile,
  RECORDING_FORMATS,
  Recording,
  type RecordingFormat,
  type Steps,
} from "../../../src/workload/recorded/recording.js";
import { leftOut, mutated, type Reading, read, readFile, readRecording, temporaryFile } from "./reading.js";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const TRACES = join(import.meta.dirname, "../../../data/traces");

/** Lines as each format has them. */
const LINES: Readonly<Record<RecordingFormat, readonly string[]>> = {
  lackey: [
    "I  0401ab70,3",
    " S 1fff000698,8",
    " L 04a17de0,8",
    " M 0421c7cc,4",
    "==4915== Command: true",
    "",
  ],
  drmemtrace: [
    "           8           1: W0.T7 ifetch       3 byte(s) @ 0x00007fc205a61940 48 89 e7             mov    %rsp, %rdi",
    "          10           2: W0.T8 write        8 byte(s) @ 0x00007fff9a9e3528 by PC 0x00007fc205a61943",
    "       47455       37775:     2765543 read         8 byte(s) @ 0x00007ffd90c13950 by PC 0x000000000040257d",
    "   173370: T1774669 read         8 byte(s) @ 0x00007f8881e37c70 by PC 0x0000000000402680",
    "           7           0: W0.T7 <marker: W0.T7 on core 7>",
    "------------------------------------------------------------",
    "",
  ],
  csv: ["op,address,size,thread", "load,0x7ffe12345678,8,0", '"store","4096",16,1', "fetch,0x401000,3,7", ""],
  ftrace: [
    ...readFileSync(join(TRACES, "kvm-mmio-linux-6.18.txt"), "utf8")
      .split("\n")
      .filter((line) => /^#|kvm_mmio|kvm_pio|kvm_userspace_exit/.test(line))
      .slice(0, 40),
    "       CPU 0/KVM-31218 [007] 159269.806542: kvm_exit:             reason EPT_VIOLATION rip 0x133025 info 182 0",
    "       CPU 0/KVM-31218 [007] 159269.806543: kvm_page_fault:       address febf0000 error_code 182",
    "       CPU 0/KVM-31218 [007] 159269.806544: kvm_mmio:             mmio unsatisfied-read len 4 gpa 0xfebf0000 val 0x0",
    "       CPU 0/KVM-31218 [007] 159269.806545: kvm_mmio:             mmio read len 4 gpa 0xfebf0000 val 0x7",
    "       CPU 0/KVM-31218 [007] 159269.806546: kvm_entry:            vcpu 0",
    "CPU:1 [LOST 7 EVENTS]",
  ],
};

/** What reading gives: steps and summary, or the message of a mistake. Anything else fails the test. */
function outcome(reading: () => Reading): Reading | string {
  try {
    return reading();
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as InputError).message;
  }
}

async function mistake(reading: Promise<Reading>): Promise<string> {
  const error = await reading.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InputError);
  return (error as InputError).message;
}

describe.each(RECORDING_FORMATS)("a recording in the format %s", (format) => {
  const sample = `${LINES[format].join("\n")}\n`;

  it("is the same however its bytes come in chunks", () => {
    const whole = read(format, sample);
    expect(whole.steps.length).toBeGreaterThan(2);
    for (let chunk = 1; chunk < 200; chunk++) expect(read(format, sample, chunk)).toEqual(whole);
  });

  it("is the same with \\r\\n at its line ends", () => {
    expect(read(format, sample.replaceAll("\n", "\r\n"))).toEqual(read(format, sample));
  });

  it("gives steps or one mistake, whatever its bytes are, and accounts for every line", () => {
    const header = format === "csv" ? "op,address,size,thread\n" : "";
    const texts = fc.oneof(
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
      { weight: 5, arbitrary: mutated(LINES[format]).map((text) => Buffer.from(header + text)) },
    );
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 100 }), (bytes, chunk) => {
        const result = outcome(() => read(format, bytes));
        expect(outcome(() => read(format, bytes, chunk))).toEqual(result);
        if (typeof result === "string") {
          expect(result).toMatch(/^trace: (line \d+|has no step)/);
          return;
        }
        const { steps, summary } = result;
        const account = steps.length + leftOut(summary);
        // Some events only frame the accesses of an exit: ftrace.test.ts accounts for those.
        if (format === "ftrace") expect(account).toBeLessThanOrEqual(summary.lines);
        else expect(account).toBe(summary.lines);
        expect(steps.every(({ size }) => size >= 1 && size <= 4096)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("refuses bytes that are no text and lines without end", () => {
    const before = sample.split("\n").length;
    expect(() => read(format, `${sample}a\0b`)).toThrow(
      `trace: line ${before}: has a NUL byte; allowed: text, perhaps packed with gzip`,
    );
    expect(() => read(format, `${sample}${" ".repeat(65537)}`)).toThrow(
      `trace: line ${before}: is longer than 65536 bytes; allowed: lines of at most 65536 bytes`,
    );
  });

  it("without a step is refused, with what its lines were", async () => {
    expect(await mistake(readFile(format, ""))).toMatch(
      /trace: has no step \(lines: 0\); allowed: at least one step$/,
    );
    const text = { lackey: "==7== \n", drmemtrace: "---\n", csv: "op,address,size\n", ftrace: "# no\n" }[
      format
    ];
    expect(() => read(format, text)).toThrow(/has no step \(lines: 1, 1 x [a-z' ]+\)/);
  });
});

describe("a recording's file", () => {
  const text = ["I  0401ab70,3\n", " S 1fff000698,8\n", " L 04a17de0,8\n", " M 0421c7cc,4\n"]
    .join("")
    .repeat(50);
  const steps = read("lackey", text).steps;

  it("may be packed with gzip, in one member or several, whatever its name is", async () => {
    expect((await readFile("lackey", text)).steps).toEqual(steps);
    expect((await readFile("lackey", gzipSync(text))).steps).toEqual(steps);
    const members = [text.slice(0, 7), text.slice(7, 999), text.slice(999)].map((part) => gzipSync(part));
    expect((await readFile("lackey", Buffer.concat(members))).steps).toEqual(steps);
    const misnamed = temporaryFile(text, "trace.gz");
    expect((await readRecording(new Recording(misnamed, "lackey"))).steps).toEqual(steps);
  });

  it("that gzip packed and something has cut is refused, wherever it was cut", async () => {
    const packed = gzipSync(text);
    const path = temporaryFile(packed);
    for (let length = packed.length - 1; length >= 2; length--) {
      truncateSync(path, length);
      expect(await mistake(readRecording(new Recording(path, "lackey")))).toContain(
        `${path}: is cut off: its gzip data has no end`,
      );
    }
    truncateSync(path, 1);
    await mistake(readRecording(new Recording(path, "lackey")));
  });

  it("that gzip packed and something has damaged is refused, or is what it was", async () => {
    const packed = gzipSync(text);
    const change = fc.tuple(fc.nat(packed.length - 1), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(change, async ([at, bits]) => {
        const damaged = Buffer.from(packed);
        damaged[at] ^= bits;
        const result = await readFile("lackey", damaged).catch((error: unknown) => error);
        if (result instanceof InputError) return;
        expect((result as Reading).steps).toEqual(steps);
      }),
    );
    expect(await mistake(readFile("lackey", Buffer.concat([packed, Buffer.from("rest")])))).toContain(
      "its gzip data is damaged (incorrect header check)",
    );
  });

  it("says how far it has been read, and of how many bytes, packed as they are", async () => {
    const packed = gzipSync(text);
    const recording = new Recording(temporaryFile(packed), "lackey");
    expect(recording.progress).toEqual({ bytes: 0, totalBytes: packed.length });
    await readRecording(recording);
    expect(recording.progress).toEqual({ bytes: packed.length, totalBytes: packed.length });
  });

  it("is read from its beginning each time, also after a reading that stopped early", async () => {
    const recording = new Recording(temporaryFile(gzipSync(text)), "lackey");
    for await (const _ of recording.steps()) break;
    const again = await readRecording(recording);
    expect(again.steps).toEqual(steps);
    expect(again.summary).toEqual({ lines: 200, steps: 200, leftOut: {}, notes: [] });
  });

  it("has to be there and to be a file", async () => {
    expect(() => new Recording("/no/such/trace", "lackey")).toThrow(InputError);
    expect(() => new Recording("/no/such/trace", "lackey")).toThrow("/no/such/trace: ENOENT");
    expect(await mistake(readRecording(new Recording(TRACES, "lackey")))).toContain("EISDIR");
    await expect(digestOfFile("/no/such/trace")).rejects.toBeInstanceOf(InputError);
  });

  it("has a digest of its bytes", async () => {
    const packed = gzipSync(text);
    const digest = createHash("sha256").update(packed).digest("hex");
    expect(await digestOfFile(temporaryFile(packed))).toBe(digest);
    expect(await digestOfFile(temporaryFile("abc"))).toBe(
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    );
  });

  it("takes the same memory however long it is", async () => {
    const member = gzipSync("I  0401ab70,3\n L 1fff000698,8\n".repeat(40_000));
    const path = temporaryFile(Buffer.concat(Array.from({ length: 48 }, () => member))); // 58 MB of text
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    const held: number[] = [];
    let pieces = 0;
    let first: Steps | undefined;
    for await (const piece of new Recording(path, "lackey").steps()) {
      first ??= piece;
      expect(piece).toBe(first); // and with it its arrays, which are read-only
      if (pieces++ % 32 !== 0) continue;
      collectGarbage();
      held.push((process.memoryUsage().arrayBuffers - before) / 2 ** 20);
    }
    expect(held.length).toBeGreaterThan(10);
    expect(Math.max(...held)).toBeLessThan(16); // buffers are freed a little later than they are collected
  });
});

it("a format's addresses are of a process, but for ftrace", () => {
  expect(RECORDING_FORMATS.filter((format) => ADDRESSES[format] === "linear")).toEqual([
    "lackey",
    "drmemtrace",
    "csv",
  ]);
  expect(ADDRESSES.ftrace).toBe("guest-physical");
});
