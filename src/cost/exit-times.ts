/**
 * How long exits took, from ftrace text: from a thread's kvm_exit to its next kvm_entry, as `perf kvm stat` counts it.
 * Events and their text: `kvm/trace.ts` and `kvm/trace-formats.ts`; lines: `kvm/ftrace.ts`.
 *
 * Where events were lost, the entry that is seen may belong to a later exit than the one that is seen. The note says of
 * which CPU; they were lost between the last event seen of it and the note. Pairs that were open in that time are left out,
 * those of all threads, since any may have moved to that CPU and back.
 */
import { exitReasonName } from "../kvm/exit-reasons.js";
import { type ParsedEvent, type ParsedNote, parseFtraceLine } from "../kvm/ftrace.js";
import { InputError, notAllowed } from "./input.js";
import { shortLine, wholeLines } from "./whole-lines.js";

/** The exits of one reason. */
export interface ExitTime {
  /** The kernel's name, such as EPT_MISCONFIG, or the number where there is none. */
  readonly reason: string;
  readonly samples: number;
  /** Each of them, in the order of their ends. */
  readonly timesUs: readonly number[];
  readonly meanUs: number;
  /** Of the mean; null with one sample. */
  readonly standardErrorUs: number | null;
  readonly minUs: number;
  readonly maxUs: number;
  /** The last digit of the time stamps: a time may be off by that much. */
  readonly resolutionUs: number;
  /** How many of them returned to userspace in between. */
  readonly withUserspace: number;
  /** Events of the thread from kvm_exit on, up to kvm_entry without it, per exit: so many recordings are in its time. */
  readonly meanEvents: number;
}

export interface ExitTimes {
  /** In the order in which their reasons appear. */
  readonly exits: readonly ExitTime[];
  /** Exits that no entry of their vCPU follows: at the end of the trace, or before another exit. */
  readonly withoutEntry: number;
  /** Exits left out because events were lost before their entry. */
  readonly amidLostEvents: number;
}

/** An exit that was seen; times in nanoseconds. */
interface Exit {
  readonly reason: string;
  readonly vcpuId: number | undefined;
  readonly start: bigint;
  readonly resolutionUs: number;
  userspace: boolean;
  events: number;
}

interface Pair extends Exit {
  readonly end: bigint;
}

/** Digits behind the point of a time stamp in nanoseconds. */
const NANOSECONDS = 9;
const LOST = /^\s*CPU:?\s?(\d+) \[/;

/**
 * Times of all exits in what tracefs' file `trace` holds or `trace-cmd report` prints, by reason.
 *
 * @param what names the text in mistakes, such as its file
 * @throws InputError for a line that is not one of a trace, kvm_exit or kvm_entry in an unknown format, time that goes back,
 * and for a trace without an exit that is followed by its entry
 */
export function parseExitTimes(text: string, what: string): ExitTimes {
  const pairing = new Pairing();
  wholeLines(text, what).forEach((line, index) => {
    const mistake = (allowed: string) =>
      new InputError(`${what}: line ${index + 1}`, notAllowed(shortLine(line)), allowed);
    const parsed = parseLine(line, index + 1, mistake);
    if (parsed?.kind === "event") pairing.event(parsed, mistake);
    else if (parsed !== undefined) pairing.note(parsed);
  });
  return pairing.result(what);
}

type Mistake = (allowed: string) => InputError;

function parseLine(text: string, line: number, mistake: Mistake): ParsedEvent | ParsedNote | undefined {
  try {
    return parseFtraceLine(text, line);
  } catch {
    throw mistake(
      '"<task>-<pid> [<cpu>] <flags> <seconds>.<fraction>: <event>: <text>", a comment or a note',
    );
  }
}

class Pairing {
  /** By thread. */
  private readonly open = new Map<number, Exit>();
  /** In the order of their ends. */
  private readonly pairs: Pair[] = [];
  /** Time of the last event by CPU. */
  private readonly seen = new Map<number, bigint>();
  private now = 0n;
  private withoutEntry = 0;
  private amidLostEvents = 0;

  event(parsed: ParsedEvent, mistake: Mistake): void {
    const [seconds, fraction] = parsed.timestampText.split(".");
    if (fraction.length > NANOSECONDS) throw mistake(`a time stamp of at most ${NANOSECONDS} digits`);
    const now = BigInt(seconds + fraction.padEnd(NANOSECONDS, "0"));
    if (now < this.now) throw mistake("events in the order of their times");
    this.now = now;
    this.seen.set(parsed.cpu, now);
    const { name, event, pid } = parsed;
    const exit = this.open.get(pid);
    if (name !== "kvm_exit" && name !== "kvm_entry") {
      if (exit !== undefined) exit.events++;
      if (name === "kvm_userspace_exit" && exit !== undefined) exit.userspace = true;
      return;
    }
    if (event?.event !== "kvm_exit" && event?.event !== "kvm_entry")
      throw mistake(`${name} as KVM on x86 prints it in Linux 3.9 to 6.19`);
    this.open.delete(pid);
    if (exit !== undefined) {
      if (event.event === "kvm_entry" && event.vcpuId === (exit.vcpuId ?? event.vcpuId))
        this.pairs.push({ ...exit, end: now });
      else this.withoutEntry++;
    }
    if (event.event === "kvm_exit") {
      const resolutionUs = 1e6 / 10 ** fraction.length;
      const { vcpuId } = event;
      this.open.set(pid, {
        reason: exitReasonName(event.isa, event.exitReason),
        vcpuId,
        start: now,
        resolutionUs,
        userspace: false,
        events: 1,
      });
    }
  }

  note({ raw }: ParsedNote): void {
    const cpu = LOST.exec(raw)?.[1];
    if (cpu === undefined) return;
    const since = this.seen.get(Number(cpu)) ?? -1n;
    const kept = this.pairs.findLastIndex(({ end }) => end <= since) + 1;
    this.amidLostEvents += this.open.size + this.pairs.length - kept;
    this.open.clear();
    this.pairs.length = kept;
  }

  result(what: string): ExitTimes {
    if (this.pairs.length === 0)
      throw new InputError(what, "has no kvm_exit with its kvm_entry", "a trace of both events");
    const byReason = new Map<string, Pair[]>();
    for (const pair of this.pairs) {
      const pairs = byReason.get(pair.reason);
      if (pairs === undefined) byReason.set(pair.reason, [pair]);
      else pairs.push(pair);
    }
    return {
      exits: [...byReason].map(([reason, pairs]) => summary(reason, pairs)),
      withoutEntry: this.withoutEntry + this.open.size,
      amidLostEvents: this.amidLostEvents,
    };
  }
}

function summary(reason: string, pairs: readonly Pair[]): ExitTime {
  const times = pairs.map(({ start, end }) => Number(end - start) / 1000);
  const samples = times.length;
  const meanUs = times.reduce((sum, time) => sum + time, 0) / samples;
  const squares = times.reduce((sum, time) => sum + (time - meanUs) ** 2, 0);
  return {
    reason,
    samples,
    timesUs: times,
    meanUs,
    standardErrorUs: samples > 1 ? Math.sqrt(squares / (samples - 1) / samples) : null,
    minUs: times.reduce((least, time) => Math.min(least, time)),
    maxUs: times.reduce((greatest, time) => Math.max(greatest, time)),
    resolutionUs: pairs.reduce((coarsest, pair) => Math.max(coarsest, pair.resolutionUs), 0),
    withUserspace: pairs.filter(({ userspace }) => userspace).length,
    meanEvents: pairs.reduce((sum, { events }) => sum + events, 0) / samples,
  };
}
