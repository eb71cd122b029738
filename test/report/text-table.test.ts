import fc from "fast-check";
import { expect, test } from "vitest";
import {
  asciiText,
  headed,
  MAIL_WIDTH,
  mailText,
  textTable,
  textTables,
  wrapText,
} from "../../src/report/text-table.js";

interface Item {
  readonly name: string;
  readonly value: string;
}

const COLUMNS = [
  { header: "name", align: "left", text: (item: Item) => item.name },
  { header: "value", align: "right", text: (item: Item) => item.value },
] as const;

test("aligns names to the left and numbers to the right", () => {
  const rows = [
    { name: "a", value: "1" },
    { name: "long name", value: "1234" },
  ];
  expect(textTable(COLUMNS, rows)).toBe(
    ["name       value", "a              1", "long name   1234"].join("\n"),
  );
});

test("refuses a line wider than 75 columns and names it", () => {
  const rows = [{ name: "x".repeat(70), value: "1" }];
  expect(() => textTable(COLUMNS, rows)).toThrow(/^line 1 is 77 columns wide, at most 75/);
});

test("writes foreign characters as escapes", () => {
  expect(asciiText("K\u00f6nig\t\u{1f600}")).toBe("K\\u{f6}nig\\u{9}\\u{1f600}");
});

test("puts what is too wide for a cell into a list below, in full", () => {
  const name = "a long name ".repeat(9).trim();
  expect(
    textTables(COLUMNS, [
      { name, value: "1" },
      { name: "b", value: "22" },
    ]),
  ).toEqual([
    [
      "name  value",
      "[1]       1",
      "b        22",
      "[1] a long name a long name a long name a long name a long name a long",
      "name a long name a long name a long name",
    ].join("\n"),
  ]);
});

test("sets a heading on each of its tables", () => {
  expect(headed("What it takes [cycles]", ["a  1", "a  2"])).toEqual([
    "What it takes [cycles]\na  1",
    "What it takes [cycles]\na  2",
  ]);
});

test("fits a mail, and loses nothing but where a line ends, whatever stands in a table", () => {
  const cell = fc.string({ unit: "grapheme", maxLength: 90 });
  fc.assert(
    fc.property(fc.array(fc.array(cell, { minLength: 4, maxLength: 4 }), { maxLength: 4 }), (rows) => {
      const columns = [0, 1, 2, 3].map((i) => ({
        header: `column ${i}`,
        align: i % 2 === 0 ? ("left" as const) : ("right" as const),
        text: (row: readonly string[]) => row[i],
      }));
      const text = textTables(columns, rows).join("\n");
      for (const line of text.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,72}$/);
      const solid = text.replaceAll(/\s/g, "");
      for (const one of rows.flat()) expect(solid).toContain(asciiText(one).replaceAll(/\s/g, ""));
    }),
  );
});

test.each([
  ["an umlaut", "K\u00f6nig"],
  ["a tab", "a\tb"],
  ["a carriage return", "a\rb"],
  ["a character beyond the BMP", "\u{1f600}"],
])("refuses %s", (_what, text) => {
  expect(() => mailText(`fine\n${text}`)).toThrow(/^line 2 has a character that is not printable ASCII/);
});

test("refuses a trailing space", () => {
  expect(() => mailText("a ")).toThrow("line 1 ends in a space");
});

test("puts the columns that do not fit into a second table with the same first column", () => {
  const wide = (header: string) => ({ header, align: "right", text: () => "9".repeat(40) }) as const;
  const tables = textTables([COLUMNS[0], wide("a"), wide("b")], [{ name: "row", value: "" }]);
  expect(tables.map((table) => table.split("\n")[0].split(/ +/))).toEqual([
    ["name", "a"],
    ["name", "b"],
  ]);
});

test("fills paragraphs to 72 columns and loses no word", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[!-~]{1,40}$/)), (words) => {
      const text = wrapText(words.join(" "));
      expect(text.split("\n").every((line) => line.length <= MAIL_WIDTH)).toBe(true);
      expect(text.split(/\s/).filter((word) => word !== "")).toEqual(words);
    }),
  );
});

test("goes on with a word that is wider than a line in the next", () => {
  expect(wrapText(`a ${"b".repeat(12)} c`, 10)).toBe("a\nbbbbbbbbbb\nbb c");
});
