/**
 * A trace as ftrace text and back: what the kernel's `trace` file holds, and what `trace-cmd report` prints of it.
 */
import type { Trace, TraceEvent } from "./trace.js";
import { parseEvent, printEvent, type TraceFormat } from "./trace-formats.js";

export interface FtraceOptions {
  readonly kernel: TraceFormat;
  /** Seconds of an event from the ledger's counts at it. Without, the time stamps are sequence numbers. */
  readonly time?: (counts: Float64Array) => number;
  /** Digits of a time stamp behind the point: 6 as ftrace prints them, 9 as `trace-cmd report -t` does. */
  readonly fraction?: 6 | 9;
  /** The thread of a vCPU; by default CPU 0/KVM of process 1000 and so on. */
  readonly task?: (vcpu: number) => { readonly comm: string; readonly pid: number };
  /** Further lines for the head, such as what was simulated and with what costs. */
  readonly notes?: readonly string[];
}

function defaultTask(vcpu: number): { readonly comm: string; readonly pid: number } {
  return { comm: `CPU ${vcpu}/KVM`, pid: 1000 + vcpu };
}

/**
 * The trace as the file `trace` of tracefs would be, which `#` lines at its head say that it is not.
 *
 * As there, the vCPUs' events are merged by their time. All flags of the flags column are off.
 * @throws RangeError as `printEvent`, and for times that are not seconds or decrease on a vCPU
 */
export function printFtrace(trace: Trace, options: FtraceOptions): string {
  const { kernel, time, fraction = 6, task = defaultTask, notes = [] } = options;
  const last = new Map<number, number>();
  const stamped = [...trace.records()].map(({ sequence, vcpu, event, counts }) => {
    const seconds = time === undefined ? sequence / 1e6 : time(counts);
    const ticks = Math.round(seconds * 10 ** fraction);
    const before = last.get(vcpu) ?? 0;
    if (!(ticks >= before && Number.isSafeInteger(ticks))) {
      throw new RangeError(
        `time of event ${sequence}, ${event.event}: ${seconds} seconds on vCPU ${vcpu} after ${before / 10 ** fraction}`,
      );
    }
    last.set(vcpu, ticks);
    return { ticks, vcpu, event };
  });
  stamped.sort((one, other) => one.ticks - other.ticks);
  const head = [
    `SIMULATED by exitlab, as KVM of Linux ${kernel} would trace it. No kernel recorded these events.`,
    time === undefined
      ? "Time stamps are no times: they number the events."
      : "Time stamps are computed: what was counted until the event, times what it costs.",
    ...notes.flatMap((note) => note.split("\n")),
  ];
  const lines = stamped.map(({ ticks, vcpu, event }) => {
    const { comm, pid } = task(vcpu);
    const stamp = String(ticks).padStart(fraction + 1, "0");
    const line = {
      task: comm.slice(0, COMM),
      pid,
      cpu: vcpu,
      flags: FLAGS[kernel],
      timestampText: `${stamp.slice(0, -fraction)}.${stamp.slice(-fraction)}`,
      name: event.event,
      text: printEvent(event, kernel),
    };
    return printFtraceLine(line, kernel);
  });
  const cpus = Math.max(0, ...last.keys()) + 1;
  return [
    ...head.map((line) => `# ${line}`),
    "# tracer: nop",
    "#",
    `# entries-in-buffer/entries-written: ${trace.kept}/${trace.written}   #P:${cpus}`,
    "#",
    ...(kernel === "v6.19" ? LEGEND_6_19 : LEGEND_3_9),
    ...lines,
    "",
  ].join("\n");
}

/** A line of a trace that tells of an event, in the order of its columns. */
export interface FtraceLine {
  readonly task: string;
  readonly pid: number;
  readonly cpu: number;
  /** Empty if the line has no such column. */
  readonly flags: string;
  /** In seconds, with as many digits as the line has. */
  readonly timestampText: string;
  readonly name: string;
  readonly text: string;
}

export interface ParsedEvent extends FtraceLine {
  readonly kind: "event";
  /** Counted from 1. */
  readonly line: number;
  readonly raw: string;
  /** Seconds. */
  readonly timestamp: number;
  /** Undefined for an event that is not in the vocabulary, or whose text no kernel known here prints. */
  readonly event?: TraceEvent;
}

/** A line that tells of the trace itself, such as of lost events. */
export interface ParsedNote {
  readonly kind: "note";
  readonly line: number;
  readonly raw: string;
}

/** Columns as ftrace prints them; those of v6 are wider. */
export function printFtraceLine(line: FtraceLine, kernel: TraceFormat): string {
  const { task, flags, timestampText, name, text } = line;
  const pid = String(line.pid).padEnd(kernel === "v6.19" ? 7 : 5);
  const cpu = String(line.cpu).padStart(3, "0");
  const [seconds, fraction] = timestampText.split(".");
  return `${task.padStart(16)}-${pid} [${cpu}] ${flags}${flags && " "}${seconds.padStart(5)}.${fraction}: ${name}: ${text}`;
}

/** Characters of a task's name that the kernel keeps. */
const COMM = 15;

/** Interrupts on, no reschedule needed, outside of interrupts, preemption on, and in v6 migration on. */
const FLAGS: Readonly<Record<TraceFormat, string>> = {
  "v3.9": "....",
  "v4.2": "....",
  "v4.2.8": "....",
  "v6.19": ".....",
};

const LEGEND_3_9 = [
  "#                              _-----=> irqs-off",
  "#                             / _----=> need-resched",
  "#                            | / _---=> hardirq/softirq",
  "#                            || / _--=> preempt-depth",
  "#                            ||| /     delay",
  "#           TASK-PID   CPU#  ||||    TIMESTAMP  FUNCTION",
  "#              | |       |   ||||       |         |",
];
const LEGEND_6_19 = [
  "#                                _-----=> irqs-off/BH-disabled",
  "#                               / _----=> need-resched",
  "#                              | / _---=> hardirq/softirq",
  "#                              || / _--=> preempt-depth",
  "#                              ||| / _-=> migrate-disable",
  "#                              |||| /     delay",
  "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION",
  "#              | |         |   |||||     |         |",
];

/** Task, process, perhaps its thread group, CPU, perhaps flags, time; trace-cmd report pads the text to a column. */
const EVENT_LINE =
  /^ *(\S.*?)-(\d+) +(?:\([ \d-]+\) +)?\[(\d+)\] (?:([^\s:]+) )? *(\d+\.\d+): (\w+):(?: +(.*)| *)$/;

const NOTE_LINE =
  /^\s*(?:cpus=\d+|version = \S+|CPU:?\s?\d+ (?:is empty|\[(?:LOST )?(?:\d+ )?EVENTS(?: DROPPED)?\]))\s*$/;

const ALLOWED =
  'a comment (#), a note like "cpus=2" or "CPU:1 [LOST 7 EVENTS]", or an event: "<task>-<pid> [<cpu>] <flags> <seconds>.<fraction>: <event>: <text>", flags optional';

/**
 * Reads ftrace text line by line, and holds one line at a time. Comments and blank lines yield nothing.
 * @throws Error for a line of another kind, with its number and text
 */
export function* parseFtrace(source: string | Iterable<string>): Generator<ParsedEvent | ParsedNote> {
  let number = 0;
  for (const line of typeof source === "string" ? linesOf(source) : source) {
    const parsed = parseFtraceLine(line, ++number);
    if (parsed !== undefined) yield parsed;
  }
}

function* linesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf("\n", start);
    yield text.slice(start, end < 0 ? undefined : end);
    start = end < 0 ? text.length : end + 1;
  }
}

/** One line, with or without its line end: for a source that `parseFtrace` cannot loop over, such as a stream. */
export function parseFtraceLine(text: string, line: number): ParsedEvent | ParsedNote | undefined {
  const raw = text.replace(/\r?\n?$/, "");
  if (/^\s*(?:#|$)/.test(raw)) return undefined;
  if (NOTE_LINE.test(raw)) return { kind: "note", line, raw };
  const columns = EVENT_LINE.exec(raw);
  if (columns === null)
    throw new Error(`line ${line} of the trace: "${raw.slice(0, 200)}" is not ${ALLOWED}`);
  const [, task, pid, cpu, flags = "", timestampText, name, shown = ""] = columns;
  const event = parseEvent(name, shown);
  return {
    kind: "event",
    line,
    raw,
    task,
    pid: Number(pid),
    cpu: Number(cpu),
    flags,
    timestamp: Number(timestampText),
    timestampText,
    name,
    text: shown,
    ...(event && { event }),
  };
}
