/** Reads recordings in tests, as plain objects. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { onTestFinished } from "vitest";
import { INSTRUCTION_NAMES, type InstructionName } from "../../../src/kvm/instruction.js";
import {
  Recording,
  type RecordingFormat,
  type RecordingSummary,
  type Steps,
} from "../../../src/workload/recorded/recording.js";
import { StepReader } from "../../../src/workload/recorded/step-reader.js";

export interface Step {
  readonly op: InstructionName;
  readonly address: number;
  readonly size: number;
  readonly value: number;
  readonly count: number;
  readonly thread: number;
  readonly fresh: number;
}

/** A step as the formats of memory traces give it. */
export function step(op: InstructionName, address: number, size: number, more: Partial<Step> = {}): Step {
  return { op, address, size, value: 0, count: 1, thread: 0, fresh: 0, ...more };
}

export interface Reading {
  readonly steps: readonly Step[];
  readonly summary: RecordingSummary;
}

function copy(piece: Steps): Step[] {
  return Array.from({ length: piece.length }, (_, i) => ({
    op: INSTRUCTION_NAMES[piece.op[i]],
    address: piece.address[i],
    size: piece.size[i],
    value: piece.value[i],
    count: piece.count[i],
    thread: piece.thread[i],
    fresh: piece.fresh[i],
  }));
}

/** Reads a text that comes in chunks of so many bytes. */
export function read(format: RecordingFormat, text: string | Uint8Array, chunk = 65536): Reading {
  const bytes = Buffer.from(text);
  const reader = new StepReader("trace", format);
  const steps: Step[] = [];
  for (let start = 0; start < bytes.length; start += chunk) {
    for (const piece of reader.take(bytes.subarray(start, start + chunk))) steps.push(...copy(piece));
  }
  for (const piece of reader.finish()) steps.push(...copy(piece));
  return { steps, summary: reader.summary };
}

/** Reads a file with these bytes. */
export async function readFile(format: RecordingFormat, bytes: string | Uint8Array): Promise<Reading> {
  return readRecording(new Recording(temporaryFile(bytes), format));
}

export async function readRecording(recording: Recording): Promise<Reading> {
  const steps: Step[] = [];
  for await (const piece of recording.steps()) steps.push(...copy(piece));
  return { steps, summary: recording.summary };
}

/** A file that is gone after the test. */
export function temporaryFile(bytes: string | Uint8Array, name = "trace"): string {
  const folder = mkdtempSync(join(tmpdir(), "exitlab-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

/** How many lines gave no step. */
export function leftOut({ leftOut }: RecordingSummary): number {
  return Object.values(leftOut).reduce((sum, count) => sum + count, 0);
}

/** Some of these lines, a character here and there replaced, added or taken away, with any line ends. */
export function mutated(lines: readonly string[]): fc.Arbitrary<string> {
  const mutation = fc.record({
    at: fc.nat(120),
    removed: fc.nat(2),
    added: fc.string({ maxLength: 2, unit: fc.constantFrom(..." 0123456789abcxfT.,:<>-+\"'\r\u00e9\ufffd") }),
  });
  const line = fc
    .tuple(fc.constantFrom(...lines), fc.oneof(fc.constant([]), fc.array(mutation, { maxLength: 2 })))
    .map(([text, mutations]) =>
      mutations.reduce(
        (changed, { at, removed, added }) => changed.slice(0, at) + added + changed.slice(at + removed),
        text,
      ),
    );
  const end = fc.constantFrom("\n", "\n", "\n", "\r\n");
  return fc.array(fc.tuple(line, end), { maxLength: 8 }).map((all) => all.flat().join(""));
}
