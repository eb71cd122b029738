/**
 * Plain text that survives a mailing list: tables and paragraphs of 7-bit ASCII, no tabs, no trailing spaces, at most 75
 * columns ("Submitting patches" of the kernel's documentation wraps there).
 *
 * There are no rules of dashes: git takes a line such as "--- ---" for the end of a commit message.
 */

/** The widest line a mail may have, in columns. */
export const MAIL_WIDTH = 75;

/** One column of a table over records of type `Row`. */
export interface TextColumn<Row> {
  readonly header: string;
  readonly align: "left" | "right";
  readonly text: (row: Row) => string;
}

const GAP = "  ";

/**
 * The text itself when a mail can carry it.
 *
 * @throws Error that names the first line with a character outside printable ASCII, a trailing space or more than 75 columns.
 */
export function mailText(text: string): string {
  text.split("\n").forEach((line, index) => {
    const problem = problemOf(line);
    if (problem !== null) throw new Error(`line ${index + 1} ${problem}: ${JSON.stringify(line)}`);
  });
  return text;
}

function problemOf(line: string): string | null {
  const odd = /[^\x20-\x7e]/u.exec(line);
  if (odd !== null) return `has a character that is not printable ASCII (${JSON.stringify(odd[0])})`;
  if (line.endsWith(" ")) return "ends in a space";
  if (line.length > MAIL_WIDTH) return `is ${line.length} columns wide, at most ${MAIL_WIDTH}`;
  return null;
}

/**
 * One table: a header line, then a line per record, columns two spaces apart.
 *
 * @throws Error when a line does not fit a mail, see `mailText`.
 */
export function textTable<Row>(columns: readonly TextColumn<Row>[], rows: readonly Row[]): string {
  const widths = columns.map((column) => widthOf(column, rows));
  const line = (texts: readonly string[]) =>
    texts
      .map((text, i) =>
        columns[i].align === "right" ? text.padStart(widths[i], " ") : text.padEnd(widths[i], " "),
      )
      .join(GAP)
      .trimEnd();
  const header = line(columns.map((column) => column.header));
  const body = rows.map((row) => line(columns.map((column) => column.text(row))));
  return mailText([header, ...body].join("\n"));
}

/**
 * As many tables as it takes for all columns to fit; each repeats the first column, which names the record.
 *
 * @throws Error when a column and the first do not fit side by side.
 */
export function textTables<Row>(columns: readonly TextColumn<Row>[], rows: readonly Row[]): string[] {
  const [key, ...rest] = columns;
  const keyWidth = widthOf(key, rows);
  const blocks: TextColumn<Row>[][] = [];
  let width = Number.POSITIVE_INFINITY;
  for (const column of rest) {
    const added = GAP.length + widthOf(column, rows);
    if (width + added > MAIL_WIDTH) {
      blocks.push([key]);
      width = keyWidth;
    }
    blocks[blocks.length - 1].push(column);
    width += added;
  }
  return blocks.map((block) => textTable(block, rows));
}

/**
 * A paragraph filled to at most 75 columns. A word that is longer stays whole, for `mailText` to refuse: half a command or
 * half a name is of no use.
 */
export function wrapText(text: string, width: number = MAIL_WIDTH): string {
  const lines: string[] = [];
  let current = "";
  for (const word of text.split(/\s+/).filter((part) => part !== "")) {
    if (current !== "" && current.length + 1 + word.length > width) {
      lines.push(current);
      current = word;
    } else {
      current = current === "" ? word : `${current} ${word}`;
    }
  }
  return [...lines, current].join("\n");
}

function widthOf<Row>(column: TextColumn<Row>, rows: readonly Row[]): number {
  return rows.reduce((widest, row) => Math.max(widest, column.text(row).length), column.header.length);
}
