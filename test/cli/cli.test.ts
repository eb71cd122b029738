import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { exitlab, file, inProcess, wordsOf } from "./exitlab.js";

const scenario = {
  cpu: "sandy-bridge-ep",
  kernel: "v4.2",
  memslots: [{ gpa: 0, size: "0x400000" }],
  ioeventfds: [{ addr: "0xfebf0800", len: 0 }],
  workload: [{ op: "store", address: "0xfebf0800" }],
  accesses: 1000,
};

describe("exitlab run", () => {
  it("prints the counts of a scenario, as text and as JSON", async () => {
    const path = file("scenario.json", JSON.stringify(scenario));
    const text = exitlab(["run", path]);
    expect([text.status, text.stderr]).toEqual([0, ""]);
    expect(text.stdout).toMatch(/^SIMULATED, not hardware/);
    expect(text.stdout).toMatch(/\nexitEptMisconfig +1000 +1\.0000\n/);
    expect(text.stdout).toMatch(/\nioeventfds\[0\] at 0xfebf0800: 1000 signals\n\nWhere the cycles go/);
    expect(text.stdout).toMatch(/\nSIMULATED VM-EXIT +Samples.*\nEPT_MISCONFIG +1000 /);
    // Who reads the mail has not the file.
    expect(text.stdout).toMatch(/\nTo repeat:\n {2}npx exitlab run '\{ "cpu":/);
    const json = JSON.parse((await inProcess(["run", path, "--json"])).stdout);
    expect(json).toMatchObject({ counts: { eventfdSignal: 1000 }, signals: [1000] });
    expect(json.exits).toMatchObject({ samples: 1000, reasons: [{ reason: "EPT_MISCONFIG" }] });
    expect(json.price.provenance.command).toMatch(/^npx exitlab run '\{ .* \}' --json$/);
  });

  it("takes JSON itself in place of a file, and repeats it in its command", async () => {
    const { stdout, stderr, status } = await inProcess(["run", JSON.stringify(scenario)]);
    expect([stderr, status]).toEqual(["", 0]);
    const command = stdout.slice(stdout.indexOf("To repeat:") + "To repeat:".length);
    const again = exitlab(wordsOf(command).slice(2));
    expect(again.stdout).toBe(stdout);
    expect((await inProcess(["run", '{"cpu"'])).stderr).toMatch(
      /^exitlab: JSON: .*; allowed: a readable file with JSON, or JSON/,
    );
    expect((await inProcess(["run", '{"cpus":1}'])).stderr).toMatch(
      /^exitlab: scenario: cpus: is an unknown field/,
    );
  });

  it("prints the cycles under their conditions, with every cost in them and its source", async () => {
    const path = file("scenario.json", JSON.stringify(scenario));
    const { stdout } = await inProcess(["run", path]);
    const { price } = JSON.parse((await inProcess(["run", path, "--json"])).stdout);
    expect(stdout).toMatch(/\ntotal +\d+ +\d+\.\.\d+\n/);
    const words = stdout.replaceAll(/\s+/g, " ");
    expect(words).toContain(
      "(Sandy Bridge-EP), EPT Run: 1000 accesses, store Profile: sandy-bridge-ep; Linux 4.2, mitigations off ",
    );
    expect(price.items.length).toBeGreaterThan(5);
    for (const { cost, tag, source } of price.items) {
      expect(stdout).toMatch(new RegExp(`^${cost} .* ${tag} +\\[\\d+\\]$`, "m"));
      expect(words).toContain(`] ${source.replaceAll(/\s+/g, " ")}`);
    }
    for (const line of stdout.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
  });

  const profile = {
    cpu: scenario.cpu,
    kernel: scenario.kernel,
    mitigations: "off",
    tscMhz: 2600,
    stretch: 1,
    costs: [
      {
        name: "eventfdSignal",
        value: 222,
        unit: "TSC cycles",
        range: [200, 250],
        tag: "measured",
        source: "rows of a machine",
      },
    ],
  };

  it("takes the costs of a calibrated profile, which name their measurement", async () => {
    const args = ["--costs", file("profile.json", JSON.stringify(profile))];
    const { stdout, stderr, status } = await inProcess([
      "run",
      file("scenario.json", JSON.stringify(scenario)),
      ...args,
    ]);
    expect([stderr, status]).toEqual(["", 0]);
    expect(stdout).toMatch(/^eventfdSignal +1\.0000 +200\.\.250 +222 +measured +\[\d+\]$/m);
    expect(stdout).toMatch(/^\[\d+\] +rows of a machine$/m);
    expect(stdout).toContain("\nCosts: fitted to times of this machine\n");
    // A long path is broken after a backslash that stands in it.
    const joined = stdout.replaceAll(/(?<=\S)\\\n/g, "").replaceAll(/\s+\\?\s*/g, " ");
    expect(joined).toContain(` --costs ${args[1]} `);
  });

  it.each([
    [
      { cpu: "lynnfield-i7-860" },
      'cost profile: cpu: "lynnfield-i7-860" is not allowed; allowed: "sandy-bridge-ep"',
    ],
    [{ kernel: "v6.19" }, 'cost profile: kernel: "v6.19" is not allowed; allowed: "v4.2"'],
    [
      { costs: [{ ...profile.costs[0], name: "tea" }] },
      'costs: "tea" is not allowed; allowed: one of walkReferenceL1',
    ],
    [{ costs: [{ ...profile.costs[0], source: "" }] }, "profile.json: costs[0].source"],
  ])("refuses a cost profile with %o", async (change, message) => {
    const costs = file("profile.json", JSON.stringify({ ...profile, ...change }));
    const path = file("scenario.json", JSON.stringify(scenario));
    const { stdout, stderr, status } = await inProcess(["run", path, "--costs", costs]);
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toContain(message);
  });

  it.each([
    [
      "an unknown field",
      JSON.stringify({ ...scenario, colour: 1 }),
      /scenario\.json: colour: is an unknown field.*; allowed: name, cpu, kernel/,
    ],
    [
      "a negative size",
      JSON.stringify({ ...scenario, memslots: [{ gpa: 0, size: -4096 }] }),
      /memslots\[0\]\.size: -4096 is not allowed; allowed: /,
    ],
    [
      "overlapping slots",
      JSON.stringify({ ...scenario, memslots: [...scenario.memslots, ...scenario.memslots] }),
      /memslots\[1\]: 0x0 to 0x3fffff overlaps/,
    ],
    [
      "an ioeventfd of length 3",
      JSON.stringify({ ...scenario, ioeventfds: [{ addr: 0, len: 3 }] }),
      /ioeventfds\[0\]\.len: 3 is not allowed; allowed: length of the ioeventfd, 0/,
    ],
    ["text that is no JSON", "{", /scenario\.json: .*JSON/],
  ])("refuses %s with field, value and what is allowed", async (_, content, message) => {
    const { stdout, stderr, status } = await inProcess(["run", file("scenario.json", content)]);
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  it("counts per access of all vCPUs", async () => {
    const { stdout } = await inProcess([
      "run",
      file("scenario.json", JSON.stringify({ ...scenario, vcpus: 2 })),
    ]);
    expect(stdout).toContain("\nRun: 2000 accesses by 2 vCPUs, store\n");
    expect(stdout).toMatch(/\neventfdSignal +2000 +1\.0000\n/);
  });

  it("writes the last events as ftrace text that says it is simulated", async () => {
    const path = file("scenario.json", JSON.stringify({ ...scenario, accesses: 3 }));
    const out = join(dirname(path), "trace.txt");
    expect((await inProcess(["run", path, "--ftrace", out])).status).toBe(0);
    const text = readFileSync(out, "utf8");
    expect(text).toMatch(/^# SIMULATED/);
    expect(text.match(/ kvm_exit: reason EPT_MISCONFIG rip 0x400000 info /g)).toHaveLength(3);
    const { stderr, status } = await inProcess(["run", path, "--ftrace", "/nowhere/trace.txt"]);
    expect(status).toBe(1);
    expect(stderr).toContain("--ftrace: ENOENT");
  });

  it("refuses a file that is not there", () => {
    const { stderr, status } = exitlab(["run", "/nowhere/scenario.json"]);
    expect(status).toBe(1);
    expect(stderr).toContain("/nowhere/scenario.json: ENOENT");
  });
});

describe("exitlab conform", () => {
  const table = join(import.meta.dirname, "../conformance/eptp.jsonl");
  const wrong = readFileSync(table, "utf8").replace('"r":0', '"r":1');

  it("counts the rows that agree, and succeeds", async () => {
    const { stdout, status } = await inProcess(["conform", table]);
    expect([stdout, status]).toEqual(["57 passed, 0 failed, 0 skipped\n", 0]);
  });

  it("shows the rows that do not, expected and got, and fails", () => {
    const { stdout, status } = exitlab(["conform", file("wrong.jsonl", wrong)]);
    expect(stdout).toMatch(
      /^56 passed, 1 failed, 0 skipped\nline 1: expected valid\n {8}got {6}not valid\n {2}\{"w":46,/,
    );
    expect(status).toBe(1);
  });

  it("takes several tables, names each, and fails if any does", async () => {
    const { stdout, status } = await inProcess(["conform", file("wrong.jsonl", wrong), table]);
    expect(stdout).toContain(`${table}: 57 passed, 0 failed, 0 skipped`);
    expect(status).toBe(1);
  });

  it("reports a malformed row by its line, and fails", async () => {
    const { stdout, status } = await inProcess(["conform", file("broken.jsonl", "{}}\n")]);
    expect(stdout).toContain("0 passed, 1 failed, 0 skipped\nline 1: expected a row of the format");
    expect(status).toBe(1);
  });

  it("refuses a table of no known kind, by its fields", async () => {
    const { stderr, status } = await inProcess(["conform", file("odd.jsonl", '{"i":0,"hits":1}\n')]);
    expect([stderr, status]).toEqual([
      expect.stringContaining("has the fields i, hits, of no kind of table"),
      1,
    ]);
  });
});
