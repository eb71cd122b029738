import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import fc from "fast-check";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { InputError } from "../../../src/cost/input.js";
import { Journal, type JournalEntry, type JournalHead } from "../../../src/study/sweep/journal.js";

const SPEC = { base: { cpu: "haswell-ep" }, axes: { kernel: ["v3.9", "v4.2"], vcpus: [1, 2] }, seeds: [1] };
const HEAD: JournalHead = { sweep: "doorbells", spec: SPEC };

const folder = mkdtempSync(join(tmpdir(), "journal-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A path of its own for each test. */
let path: string;
let tests = 0;
beforeEach(() => {
  path = join(folder, `test-${++tests}`, "journal.jsonl");
});

function done(key: string, change: Partial<JournalEntry> = {}): JournalEntry {
  const result = { accesses: 10, counts: { "exit.eptMisconfig": 10 }, signals: [10] };
  return {
    key,
    model: "0badcafe",
    point: { kernel: "v4.2", seed: 1 },
    status: "done",
    result,
    ms: 7,
    ...change,
  };
}

function failed(key: string): JournalEntry {
  const { result: _, ...rest } = done(key);
  return { ...rest, status: "failed", error: "scenario: vcpus: 0 is not allowed" };
}

/** Opens, appends and closes. */
function record(...entries: readonly JournalEntry[]): void {
  const journal = Journal.open(path, HEAD);
  for (const entry of entries) journal.append(entry);
  journal.close();
}

/** Opens and closes: what was repaired, and the entries. */
function reopened(): { repaired: string | null; entries: JournalEntry[] } {
  const journal = Journal.open(path, HEAD);
  journal.close();
  return { repaired: journal.repaired, entries: [...journal.entries.values()] };
}

function inputError(work: () => unknown): InputError {
  try {
    work();
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Puts a file, and its folder, at `path`. */
function place(content: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

describe("a journal", () => {
  it("begins with its head, in a folder that it makes, and holds a line for each point that ended", () => {
    path = join(dirname(path), "a/b/journal.jsonl");
    const journal = Journal.open(path, { ...HEAD, shard: "1/3" });
    expect([journal.repaired, journal.entries.size]).toEqual([null, 0]);
    journal.append(done("a"));
    journal.append(failed("b"));
    journal.close();
    const lines = readFileSync(path, "utf8").trimEnd().split("\n");
    expect(lines.map((line) => Object.keys(JSON.parse(line)))).toEqual([
      ["journal", "sweep", "spec", "shard", "sum"],
      ["key", "model", "point", "status", "result", "ms", "sum"],
      ["key", "model", "point", "status", "ms", "error", "sum"],
    ]);
    expect(Journal.read(path)).toEqual({
      head: { ...HEAD, shard: "1/3" },
      entries: [done("a"), failed("b")],
      tornBytes: 0,
    });
  });

  it("goes on where it was", () => {
    record(done("a"), failed("b"));
    record(done("c"));
    expect(reopened()).toEqual({ repaired: null, entries: [done("a"), failed("b"), done("c")] });
  });

  it("can be read by others while it is written", () => {
    const journal = Journal.open(path, HEAD);
    for (const key of ["a", "b"]) {
      journal.append(done(key));
      expect(Journal.read(path)?.entries.at(-1)).toEqual(done(key));
    }
    journal.close();
  });

  it("counts the last of several entries of a key, on reading as on writing", () => {
    const journal = Journal.open(path, HEAD);
    for (const entry of [failed("a"), done("b"), done("a")]) journal.append(entry);
    journal.close();
    expect(journal.entries.get("a")).toEqual(done("a"));
    expect(reopened().entries).toEqual([done("a"), done("b")]);
    expect(Journal.read(path)?.entries).toEqual([failed("a"), done("b"), done("a")]);
  });

  it("is nothing to read where there is no file", () => {
    expect(Journal.read(path)).toBeUndefined();
    expect(existsSync(dirname(path))).toBe(false);
  });

  it("holds lines longer than what is read at a time, and more of them", () => {
    const long = done("long", { point: { text: "ä".repeat(1_500_000) } });
    const others = Array.from({ length: 100 }, (_, n) =>
      done(`${n}`, { point: { text: "x".repeat(300 * n) } }),
    );
    record(long, ...others);
    expect(reopened()).toEqual({ repaired: null, entries: [long, ...others] });
  });

  it("seals a line with 8 digits of the SHA-256 of the line without its last field", () => {
    record(done("ä"));
    for (const line of readFileSync(path, "utf8").trimEnd().split("\n")) {
      const text = line.replace(/,"sum":"[0-9a-f]{8}"\}$/, "}");
      const { sum, ...rest } = JSON.parse(line);
      expect(text).toBe(JSON.stringify(rest));
      expect(sum).toBe(createHash("sha256").update(text).digest("hex").slice(0, 8));
    }
  });
});

describe("a journal whose last line is damaged", () => {
  let whole: Buffer;
  /** Where the last line begins. */
  let last: number;

  beforeEach(() => {
    record(done("a"), done("b"), failed("c"));
    whole = readFileSync(path);
    last = whole.lastIndexOf("\n", whole.length - 2) + 1;
  });

  it("loses that line and no other, wherever it was cut off", () => {
    for (let length = last + 1; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      const tornBytes = length - last;
      expect(Journal.read(path)).toEqual({ head: HEAD, entries: [done("a"), done("b")], tornBytes });
      const journal = Journal.open(path, HEAD);
      expect(journal.repaired).toBe(`${path}: line 4 is cut off; its ${tornBytes} bytes were removed`);
      expect([...journal.entries.keys()]).toEqual(["a", "b"]);
      journal.append(failed("c"));
      journal.close();
      expect(readFileSync(path).equals(whole)).toBe(true);
    }
  });

  it("needs no repair when it was cut off between two lines", () => {
    writeFileSync(path, whole.subarray(0, last));
    expect(reopened()).toEqual({ repaired: null, entries: [done("a"), done("b")] });
  });

  it.each([
    ["zeros", Buffer.alloc(4096), "is cut off"],
    ["part of a line and zeros", Buffer.from('{"key":"d"\0\0\0'), "is cut off"],
    ["zeros and the end of a line", Buffer.from('\0\0\0\0"ms":7}\n'), "has no checksum at its end"],
    ["an empty line", Buffer.from("\n"), "has no checksum at its end"],
  ])("loses what a loss of power left: %s", (_, garbage, wrong) => {
    appendFileSync(path, garbage);
    expect(reopened()).toEqual({
      repaired: `${path}: line 5 ${wrong}; its ${garbage.length} bytes were removed`,
      entries: [done("a"), done("b"), failed("c")],
    });
    expect(readFileSync(path).equals(whole)).toBe(true);
  });

  it("loses a complete last line whose checksum is wrong", () => {
    whole[last + '{"key":"'.length] ^= 1;
    writeFileSync(path, whole);
    const { repaired, entries } = reopened();
    const wrong =
      /: line 4 has the checksum [0-9a-f]{8}, but its text has [0-9a-f]{8}; its \d+ bytes were removed$/;
    expect(repaired).toMatch(wrong);
    expect(entries).toEqual([done("a"), done("b")]);
  });
});

describe("a journal whose head is damaged", () => {
  it("begins anew where it holds no more than a part of the head", () => {
    record();
    const head = readFileSync(path);
    for (let length = 0; length < head.length; length++) {
      writeFileSync(path, head.subarray(0, length));
      expect(Journal.read(path)).toBeUndefined();
      const { repaired, entries } = reopened();
      const what = `${path}: line 1 is cut off; its ${length} bytes were removed`;
      expect([repaired, entries]).toEqual([length === 0 ? null : what, []]);
      expect(readFileSync(path).equals(head)).toBe(true);
    }
  });

  it("begins anew where a loss of power left zeros", () => {
    place(Buffer.alloc(512));
    expect(reopened().repaired).toBe(`${path}: line 1 is cut off; its 512 bytes were removed`);
  });

  it("is refused when there are points after it", () => {
    record(done("a"));
    writeFileSync(path, readFileSync(path, "utf8").replace("v3.9", "v3.8"));
    const error = inputError(() => Journal.open(path, HEAD));
    expect(error.field).toBe(`${path}: line 1`);
    expect(error.allowed).toBe("a line as it was written; restore the file, or give the sweep another name");
  });
});

describe("a journal that is damaged before its last line", () => {
  it("is refused, and the line named, whichever byte is another", () => {
    record(done("a"), failed("b"), done("ä"), done("d"), done("e"));
    const whole = readFileSync(path);
    const ends = [...whole.keys()].filter((at) => whole[at] === 0x0a);
    // The newline of the last but one would join it to the last.
    const before = ends[4];
    const line = (at: number) => 1 + ends.filter((end) => end < at).length;
    fc.assert(
      fc.property(
        fc.integer({ min: ends[0] + 1, max: before - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, flip) => {
          const flipped = Buffer.from(whole);
          flipped[at] ^= flip;
          writeFileSync(path, flipped);
          for (const work of [() => Journal.read(path), () => Journal.open(path, HEAD)]) {
            const error = inputError(work);
            expect(error.field).toBe(`${path}: line ${line(at)}`);
            expect(error.allowed).toMatch(
              /^a line as it was written; restore the file, or remove the line to run/,
            );
          }
          expect(readFileSync(path).equals(flipped)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("loses two lines, both reported, when the newline between the last two is another byte", () => {
    record(done("a"), done("b"), done("c"));
    const whole = readFileSync(path);
    whole[whole.lastIndexOf("\n", whole.length - 2)] = 0x20;
    writeFileSync(path, whole);
    const { repaired, entries } = reopened();
    expect(entries).toEqual([done("a")]);
    expect(repaired).toMatch(/: line 3 has the checksum /);
  });

  it("goes on without a line that was removed by hand", () => {
    record(done("a"), done("b"), done("c"));
    const lines = readFileSync(path, "utf8").split("\n");
    writeFileSync(path, lines.toSpliced(2, 1).join("\n"));
    expect(reopened()).toEqual({ repaired: null, entries: [done("a"), done("c")] });
  });

  it("is refused when another journal was appended to it", () => {
    record(done("a"));
    appendFileSync(path, readFileSync(path));
    const error = inputError(() => Journal.read(path));
    expect([error.field, error.found]).toEqual([`${path}: line 3`, "is no point of a sweep"]);
  });
});

describe("a file that is no journal", () => {
  it.each([
    ["text", "kernel,vcpus\nv4.2,1\n"],
    ["JSON Lines of another kind", '{"row":1}\n{"row":2}\n'],
    ["one line without an end", "#!/bin/sh"],
    ["an image", Buffer.from("\0\0\0\0\0\0\0boot")],
  ])("is refused and stays as it is: %s", (_, content) => {
    place(content);
    for (const work of [() => Journal.read(path), () => Journal.open(path, HEAD)]) {
      const error = inputError(work);
      expect([error.field, error.found]).toEqual([path, "is no journal of a sweep"]);
    }
    expect(readFileSync(path).equals(Buffer.from(content))).toBe(true);
    expect(readdirSync(dirname(path))).toEqual(["journal.jsonl"]);
  });

  it("is refused if it is a folder, in the system's words", () => {
    mkdirSync(path, { recursive: true });
    for (const work of [() => Journal.read(path), () => Journal.open(path, HEAD)]) {
      const error = inputError(work);
      expect([error.field, error.found]).toEqual([path, expect.stringMatching(/^EISDIR/)]);
    }
  });
});

describe("a journal of another specification", () => {
  const changed = (spec: object) => inputError(() => Journal.open(path, { ...HEAD, spec }));

  it.each([
    [{ ...SPEC, axes: { ...SPEC.axes, kernel: ["v3.9", "v6.19"] } }, "axes.kernel[1]", '"v4.2"', '"v6.19"'],
    [{ ...SPEC, axes: { ...SPEC.axes, vcpus: [1, 2, 4] } }, "axes.vcpus[2]", "absent", "4"],
    [{ ...SPEC, axes: { vcpus: [1, 2] } }, "axes.kernel", '["v3.9","v4.2"]', "absent"],
    [{ ...SPEC, seeds: { from: 1 } }, "seeds", "[1]", '{"from":1}'],
    [{ ...SPEC, base: { cpu: null }, seeds: [2] }, "base.cpu", '"haswell-ep"', "null"],
  ])("is refused by its first difference: %j", (spec, field, was, is) => {
    record(done("a"));
    const before = readFileSync(path);
    const error = changed(spec);
    expect(error.field).toBe(`sweep "doorbells": ${field}`);
    expect(error.found).toBe(`was ${was}, is now ${is}`);
    expect(error.allowed).toBe("the same specification; choose another name for a changed one");
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(reopened().entries).toEqual([done("a")]);
  });

  it("is the same if only the order of fields is another, or a field is undefined", () => {
    record(done("a"));
    const { base, axes, seeds } = SPEC;
    const spec = { seeds, axes, base, exclude: undefined };
    const journal = Journal.open(path, { ...HEAD, spec });
    journal.close();
    expect([...journal.entries.keys()]).toEqual(["a"]);
  });

  it("is another if the axes are in another order, which is that of the rows", () => {
    record();
    const { axes } = SPEC;
    const spec = { ...SPEC, axes: { vcpus: axes.vcpus, kernel: axes.kernel } };
    expect(inputError(() => Journal.open(path, { ...HEAD, spec })).found).toBe(
      "has its axes in another order than before",
    );
  });

  it("is refused to another shard", () => {
    record();
    const error = inputError(() => Journal.open(path, { ...HEAD, shard: "1/3" }));
    expect([error.found, error.allowed]).toEqual(["is the journal of the whole sweep", "one of shard 1/3"]);
  });

  it("is refused if it is the journal of another sweep", () => {
    record();
    const error = inputError(() => Journal.open(path, { ...HEAD, sweep: "kicks" }));
    expect(error.found).toBe('is the journal of sweep "doorbells"');
  });
});

describe("among processes", () => {
  /** The journal as a module for processes of their own: node reads no TypeScript. */
  const compiled = join(folder, "journal.mjs");

  beforeAll(async () => {
    const input = join(import.meta.dirname, "../../../src/study/sweep/journal.ts");
    const bundle = await rolldown({ input, platform: "node" });
    await bundle.write({ file: compiled, format: "es" });
  });

  /** Arguments of node for a program that has `Journal`, `path`, `HEAD`, `entry(key)` and `say(text)`. */
  function program(text: string): string[] {
    const prelude = `
      import { writeSync } from "node:fs";
      import { Journal } from ${JSON.stringify(pathToFileURL(compiled).href)};
      const path = ${JSON.stringify(path)};
      const HEAD = ${JSON.stringify(HEAD)};
      const entry = (key) => ({ ...${JSON.stringify(done(""))}, key });
      const say = (text) => writeSync(1, text + "\\n");`;
    return ["--input-type=module", "-e", prelude + text];
  }

  function start(text: string): ChildProcess {
    return spawn(process.execPath, program(text), { stdio: ["ignore", "pipe", "inherit"] });
  }

  async function firstWord({ stdout }: ChildProcess): Promise<string> {
    const [data] = await once(stdout as NodeJS.ReadableStream, "data");
    return String(data).trim();
  }

  async function kill(child: ChildProcess): Promise<void> {
    child.kill("SIGKILL");
    await once(child, "close");
  }

  const HOLD = `
    const journal = Journal.open(path, HEAD);
    journal.append(entry("a"));
    say("open");
    setInterval(() => {}, 1000);`;

  /** Name of the lock file of a journal that is open. */
  function lockName(): string {
    const [name] = readdirSync(dirname(path)).filter((file) => file.startsWith("journal.jsonl.lock."));
    return name;
  }

  it("only one has a journal open, and others are told which", async () => {
    const child = start(HOLD);
    expect(await firstWord(child)).toBe("open");
    const error = inputError(() => Journal.open(path, HEAD));
    expect(error.field).toBe(path);
    expect(error.found).toMatch(new RegExp(`^is being written by process ${child.pid} on host `));
    expect(error.allowed).toContain(lockName());
    expect(Journal.read(path)?.entries).toEqual([done("a")]);
    await kill(child);
  });

  it("this one cannot open it twice either, but after closing it can", () => {
    const journal = Journal.open(path, HEAD);
    expect(inputError(() => Journal.open(path, HEAD)).found).toContain(`process ${process.pid} `);
    journal.append(done("a"));
    journal.close();
    journal.close();
    expect(readdirSync(dirname(path))).toEqual(["journal.jsonl"]);
    expect(reopened().entries).toEqual([done("a")]);
  });

  it("one of many that come at once gets it", async () => {
    const attempt = `
      try {
        Journal.open(path, HEAD);
        say("open");
      } catch (error) {
        say(error.name);
      }
      setInterval(() => {}, 1000);`;
    const children = Array.from({ length: 4 }, () => start(attempt));
    const words = await Promise.all(children.map(firstWord));
    expect(words.sort()).toEqual(["InputError", "InputError", "InputError", "open"]);
    await Promise.all(children.map(kill));
  });

  it("one that was killed leaves it at once", async () => {
    const child = start(HOLD);
    await firstWord(child);
    child.kill("SIGKILL");
    // It is not waited for: it may still be ending, and is a zombie then.
    expect(reopened()).toEqual({ repaired: null, entries: [done("a")] });
    expect(readdirSync(dirname(path))).toEqual(["journal.jsonl"]);
    await once(child, "close");
  });

  it("one that ends without closing it leaves no lock", () => {
    const { status } = spawnSync(process.execPath, program(`Journal.open(path, HEAD); process.exit(3);`));
    expect([status, readdirSync(dirname(path))]).toEqual([3, ["journal.jsonl"]]);
  });

  it.runIf(existsSync("/proc/self/stat"))(
    "a pid that was given anew is not taken for the owner",
    async () => {
      const child = start(HOLD);
      await firstWord(child);
      const lock = join(dirname(path), lockName());
      renameSync(
        lock,
        lock.replace(/\d+$/, (start) => String(Number(start) - 1)),
      );
      expect(reopened().entries).toEqual([done("a")]);
      expect(readdirSync(dirname(path))).toEqual(["journal.jsonl"]);
      await kill(child);
    },
  );

  it("one of another host has it until its lock file is removed", () => {
    record(done("a"));
    const lock = `${path}.lock.build7.example.4711.8812345`;
    writeFileSync(lock, "");
    const error = inputError(() => Journal.open(path, HEAD));
    expect(error.found).toBe("is being written by process 4711 on host build7.example");
    expect(error.allowed).toBe(`one process at a time; if that one is gone, remove ${lock}`);
    rmSync(lock);
    expect(reopened().entries).toEqual([done("a")]);
  });

  it("nothing that was acknowledged is lost when they are killed at any moment", async () => {
    const append = `
      const journal = Journal.open(path, HEAD);
      for (let n = journal.entries.size; ; n++) {
        journal.append({ ...entry(String(n)), point: { text: "x".repeat(20_000) } });
        say(String(n));
      }`;
    let before = 0;
    for (let round = 0; round < 8; round++) {
      const child = start(append);
      let said = "";
      child.stdout?.on("data", (data) => {
        said += data;
      });
      await once(child.stdout as NodeJS.ReadableStream, "data");
      await sleep(Math.random() * 100);
      await kill(child);
      const acknowledged = said.split("\n").filter((line) => line !== "").length;
      const keys = Journal.read(path)?.entries.map(({ key }) => key) ?? [];
      expect(keys).toEqual(Array.from(keys, (_, index) => String(index)));
      // The last may be on disk and not yet be acknowledged.
      expect([0, 1]).toContain(keys.length - before - acknowledged);
      before = keys.length;
    }
  });

  it("one that finds no room for a line leaves none of it", () => {
    const fill = `
      const journal = Journal.open(path, HEAD);
      try {
        for (let n = 0; ; n++) journal.append(entry(String(n)));
      } catch (error) {
        say(error.name);
        process.kill(process.pid, "SIGKILL");
      }`;
    const limited = ["-c", 'ulimit -f 4; exec "$0" "$@"', process.execPath, ...program(fill)];
    const { stdout } = spawnSync("bash", limited, { encoding: "utf8" });
    expect(stdout).toBe("InputError\n");
    const { repaired, entries } = reopened();
    expect(repaired).toBeNull();
    expect(entries.length).toBeGreaterThan(5);
  });
});
