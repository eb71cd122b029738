import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { mail, wrapCommand } from "../../src/report/mail.js";
import { exitlabCommand, inlineJson, studyCommand } from "../../src/study/command.js";
import { study } from "./fixture.js";

const { provenance } = study;

/** The words that a shell makes of the text. */
function words(text: string): string[] {
  const script = `for word in ${text.trim()}; do printf '%s\\0' "$word"; done`;
  return execFileSync("sh", ["-c", script], { encoding: "utf8" }).split("\0").slice(0, -1);
}

test("a command that fits stays in its line", () => {
  expect(wrapCommand("npx exitlab study cold-walk", 72)).toBe("  npx exitlab study cold-walk");
});

test("a command is broken at its spaces, and JSON in it between its tokens", () => {
  const command = studyCommand("load-latency", {
    cpus: ["haswell-ep-e5-2660v3", "lynnfield-i7-860"],
    seed: 2,
  });
  expect(wrapCommand(command, 60)).toBe(
    [
      '  npx exitlab study load-latency --options \'{ "cpus": [',
      '    "haswell-ep-e5-2660v3", "lynnfield-i7-860" ], "seed":',
      "    2 }'",
    ].join("\n"),
  );
});

test("a shell takes a broken command for the same words, whatever they are", () => {
  const word = fc.oneof(fc.stringMatching(/^[ -~]{0,120}$/), fc.stringMatching(/^[{'"\\ a]{0,90}$/));
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 20, max: 75 }),
      (all, width) => {
        const text = wrapCommand(exitlabCommand(...all), width);
        for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(width);
        expect(words(text).map(joined)).toEqual(["npx", "exitlab", ...all]);
      },
    ),
    { numRuns: 60, examples: [[["        ", "{  "], 29]] },
  );
});

/** Between the tokens of JSON, or what looks like it, a space may have become a line break with an indentation. */
function joined(word: string): string {
  return word.replaceAll("\n    ", " ");
}

test("JSON in a broken command is the same JSON", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const options = { value };
      const [, , , , , json] = words(wrapCommand(studyCommand("x", options), 40));
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(options)));
    }),
    { numRuns: 60 },
  );
});

test("inline JSON is ASCII in one line, with no apostrophe", () => {
  expect(inlineJson({ name: "K\u00f6nig's" })).toBe('{ "name": "K\\u00f6nig\\u0027s" }');
});

test("a mail says that it is simulated, by what, under which conditions, and how to repeat it", () => {
  expect(mail({ provenance, head: ["Machine: none"], parts: ["one", "two"] })).toBe(
    [
      "SIMULATED, not hardware",
      "exitlab 0.1.0, model 3f2a91c0, data b07c55d2, seed 1",
      "Costs: fitted to kvm-unit-tests pci-testdev, 6 rows, mail of 2013-04-03",
      "to the kvm list",
      "Machine: none",
      "Profile: lynnfield-i7-860, sandy-bridge-ep; Linux 3.9, 4.2, mitigations",
      "off",
      "Open switches: permissionFaultWalks 1, faultWalkStart",
      "paging-structure-caches, violationDrops mappings, misconfigDrops",
      "nothing, nestedPageFaultDrops nothing, nestedTlbHolds tables, guestFlags",
      "before-final-translation",
      "",
      "one",
      "",
      "two",
      "",
      "To repeat:",
      "  npx exitlab study pci-testdev --cpu sandy-bridge-ep --exit-evicts l1 \\",
      "    --accesses 1000 --seed 1",
      "",
    ].join("\n"),
  );
});
