import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { exitlab, file, inProcess } from "./exitlab.js";

const ROWS = join(import.meta.dirname, "../../data/measurements/pci-testdev-2013.csv");

describe("exitlab study", () => {
  it("lists the studies, each with what it is about", () => {
    const { stdout, stderr, status } = exitlab(["study"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.trimEnd().split("\n")).toHaveLength(19);
    expect(stdout).toMatch(/^cold-walk +the two-dimensional walk with nothing cached, entry by entry$/m);
  });

  it("prints a study's mail, and its JSON", async () => {
    const { stdout, stderr, status } = await inProcess(["study", "cold-walk"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^SIMULATED, not hardware\n/);
    expect(stdout).toMatch(/\nTo repeat:\n {2}npx exitlab study cold-walk\n$/);
    const { steps } = JSON.parse((await inProcess(["study", "cold-walk", "--json"])).stdout);
    expect(steps).toHaveLength(24);
  });

  it("answers the thread in short, with the sweep of its settings", () => {
    const cwd = mkdtempSync(join(tmpdir(), "exitlab-"));
    const { stdout, stderr, status } = exitlab(["study", "thread", "--short"], { cwd });
    expect([status, stderr]).toEqual([0, ""]);
    const text = stdout.replaceAll(/\s+/g, " ");
    expect(text).toContain("The question: a kick takes ");
    expect(text).toContain("Does it matter? What A takes more than B, per cent of a core");
    expect(text).not.toContain("The objections, measured");
    expect(readdirSync(join(cwd, "out"))).toEqual(["thread-short"]);
  });

  it("takes options as JSON or in a file", async () => {
    const options = JSON.stringify({ kernel: "v6.19" });
    const { stdout, status } = await inProcess(["study", "life-of-a-fault", "--options", options]);
    expect(status).toBe(0);
    expect(stdout).toContain("Linux 6.19");
    expect(
      (await inProcess(["study", "life-of-a-fault", "--options", file("options.json", options)])).stdout,
    ).toBe(stdout);
  });

  it("describes the options in the help of each study", async () => {
    const { stdout, status } = await inProcess(["study", "life-of-a-fault", "--help"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/\nFields of --options:\n {2}kernel\n {6}one of v3\.9, v4\.2/);
    expect(stdout).toMatch(/\nExample:\n {2}exitlab study life-of-a-fault --out out\n/);
  });

  it("writes the figures in the formats that are asked for, and says where all files are", async () => {
    const out = join(mkdtempSync(join(tmpdir(), "exitlab-")), "out");
    const { stdout, stderr, status } = await inProcess([
      "study",
      "cold-walk",
      "--out",
      out,
      "--formats",
      "csv,txt",
    ]);
    expect([status, stderr]).toEqual([0, ""]);
    const files = [
      "cold-walk.csv",
      "cold-walk.txt",
      "index.html",
      "mail.txt",
      "provenance.json",
      "rows.json",
      "scenario.json",
    ];
    expect(readdirSync(out).sort()).toEqual(files);
    expect(stdout).toBe(
      `${readFileSync(join(out, "mail.txt"), "utf8")}\nWritten: ${[3, 6, 5, 4, 0, 1, 2].map((index) => join(out, files[index])).join(", ")}\n`,
    );
    expect(JSON.parse(readFileSync(join(out, "scenario.json"), "utf8"))).toEqual({
      study: "cold-walk",
      options: {},
    });
  });

  it.each([
    [["pci"], 'study: "pci" is not allowed; allowed: one of pci-testdev, exit-rows'],
    [["cold-walks"], 'study: "cold-walks" is not allowed (did you mean cold-walk?)'],
    [["cold-walk", "--cpu", "lynnfield-i7-860"], "unknown option '--cpu'"],
    [["cold-walk", "--options", "{}"], "unknown option '--options'"],
    [
      ["nested-walks", "--options", '{"footprint":1}'],
      "study nested-walks: footprint: is an unknown field (did you",
    ],
    [["nested-walks", "--options", "{"], "JSON: "],
    [["nested-walks", "--options", "/nowhere.json"], "/nowhere.json: ENOENT"],
  ])("refuses %j", async (args, message) => {
    const { stdout, stderr, status } = await inProcess(["study", ...args]);
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toContain(message);
  });

  it("refuses a format that is not known before the study runs", async () => {
    const out = join(mkdtempSync(join(tmpdir(), "exitlab-")), "out");
    const { stdout, stderr, status } = await inProcess([
      "study",
      "cold-walk",
      "--out",
      out,
      "--formats",
      "svg,gif",
    ]);
    expect([stdout, status, existsSync(out)]).toEqual(["", 1, false]);
    expect(stderr).toContain(
      '--formats: "gif" is not allowed; allowed: a list of some of html, svg, png, pdf',
    );
  });
});

describe("exitlab study pci-testdev", () => {
  it("prints a mail: ASCII, at most 75 columns, headed as simulated, with model, calibration and seed", async () => {
    const { stdout, stderr, status } = await inProcess(["study", "pci-testdev", "--seed", "3"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(
      /^SIMULATED, not hardware\nexitlab \d+\.\d+\.\d+, model [0-9a-f]{8}, data [0-9a-f]{8}, seed 3\nCosts: fitted to QEMU/,
    );
    for (const line of stdout.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
  });

  it("prints the same bytes for the same seed", () => {
    const args = ["study", "pci-testdev", "--accesses", "200", "--seed", "5"];
    expect(exitlab(args).stdout).toBe(exitlab(args).stdout);
  });

  it("writes everything but pictures without a browser, says what is missing in a line, and succeeds", () => {
    const out = join(mkdtempSync(join(tmpdir(), "exitlab-")), "out");
    const nowhere = { PATH: "", EXITLAB_CHROMIUM: "" };
    const { stdout, stderr, status } = exitlab(["study", "pci-testdev", "--out", out], { env: nowhere });
    expect(status).toBe(0);
    expect(stderr).toMatch(/^exitlab: not written: breakdown\.svg, .*Chromium.*\n$/);
    expect(readdirSync(out).sort()).toEqual([
      "breakdown.csv",
      "breakdown.html",
      "costs.csv",
      "fast-mmio.csv",
      "fast-mmio.html",
      "index.html",
      "mail.txt",
      "provenance.json",
      "rows.json",
      "scenario.json",
    ]);
    expect(stdout).toContain(readFileSync(join(out, "mail.txt"), "utf8"));
  });

  it("takes another range for a cost, and repeats it in its command", async () => {
    const { stdout, status } = await inProcess([
      "study",
      "pci-testdev",
      "--cost",
      "fastPioOut=20..60",
      "--cost",
      "vmread=10..20",
    ]);
    expect(status).toBe(0);
    expect(stdout).toContain("fastPioOut (20..60, assumed)");
    expect(stdout.replaceAll(/\s+\\?\s*/g, " ")).toContain("--cost fastPioOut=20..60 --cost vmread=10..20");
  });

  it("fits rows of one's own", async () => {
    const mine = readFileSync(ROWS, "utf8").replace("8796", "9100");
    const { stdout, status } = await inProcess([
      "study",
      "pci-testdev",
      "--measurement",
      file("mine.csv", mine),
    ]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/mmio-no-eventfd +9100 +9100/);
  });

  it.each([
    [
      "a missing column",
      readFileSync(ROWS, "utf8").replace("cycles,", "ticks,"),
      "column cycles: is missing; allowed: row, cycles",
    ],
    [
      "rows that no costs can meet",
      readFileSync(ROWS, "utf8").replace("8796", "1000"),
      "no costs within their ranges meet the measured rows on sandy-bridge-ep with l1 evicted",
    ],
  ])("refuses %s", async (_, csv, message) => {
    const { stdout, stderr, status } = await inProcess([
      "study",
      "pci-testdev",
      "--measurement",
      file("mine.csv", csv),
    ]);
    expect([stdout, status]).toEqual(["", 1]);
    expect(stderr).toContain(message);
  });

  it.each([
    [["--cost", "fastPioOut"], '--cost: "fastPioOut" is not allowed; allowed: name=low..high'],
    [["--cost", "walk=1..2"], 'costs: "walk" is not allowed; allowed: one of walkReferenceL1'],
    [["--measurement", "/nowhere.csv"], "/nowhere.csv: ENOENT"],
    [["--cpu", "486"], "Allowed choices are broadwell-e-i7-6850k"],
    [
      ["--cpu", "haswell-ep-e5-2660v3"],
      'cpu: "haswell-ep-e5-2660v3" is not allowed; allowed: one of ivy-bridge-i7-3770k, lynnfield',
    ],
    [["--accesses", "-1"], '--accesses: "-1" is not allowed; allowed: a whole number'],
    [["--accesses", "0"], "accesses: 0 is not allowed"],
    [
      ["--seed", "4294967296"],
      "seed: 4294967296 is not allowed; allowed: seed, a whole number from 0 to 4294967295",
    ],
  ])("refuses %s", async (args, message) => {
    const { stderr, status } = await inProcess(["study", "pci-testdev", ...args]);
    expect(status).toBe(1);
    expect(stderr).toContain(message);
  });
});
