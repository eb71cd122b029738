import fc from "fast-check";
import { expect, test } from "vitest";
import { MAIL_WIDTH, mailText, textTable, textTables, wrapText } from "../../src/report/text-table.js";

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

test("fills paragraphs to 75 columns and loses no word", () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[!-~]{1,40}$/)), (words) => {
      const text = wrapText(words.join(" "));
      expect(text.split("\n").every((line) => line.length <= MAIL_WIDTH)).toBe(true);
      expect(text.split(/\s/).filter((word) => word !== "")).toEqual(words);
    }),
  );
});
