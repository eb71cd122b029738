/**
 * Plain text that survives a mailing list: tables and paragraphs of 7-bit ASCII, no tabs, no trailing spaces. Lines are filled
 * to 72 columns, which leaves room to be quoted in an answer to an answer; no line is wider than 75 ("Submitting patches" of
 * the kernel's documentation wraps there).
 *
 * Foreign text cannot make a mail fail, and nothing is cut: other characters are written as escapes, a table that is too wide
 * becomes several below each other, a cell that is too wide a number, with the text in a list under the table.
 *
 * There are no rules of dashes: git takes a line such as "--- ---" for the end of a commit message.
 */

/** To how many columns lines are filled. */
export const MAIL_WIDTH = 72;
/** The widest line a mail may have, in columns. */
export const MAIL_LIMIT = 75;

/**
 * Header of the first column of every table of simulated figures: tables are quoted without what stands around them.
 *
 * @param of what the column names
 */
export function simulated(of = ""): string {
  return `SIMULATED ${of}`.trimEnd();
}

/** The same of tables of what was measured, which are never simulated. */
export function measured(of = ""): string {
  return `MEASURED ${of}`.trimEnd();
}

/** One column of a table over records of type `Row`. */
export interface TextColumn<Row> {
  readonly header: string;
  readonly align: "left" | "right";
  readonly text: (row: Row) => string;
}

const GAP = "  ";
/** Two columns as wide as this stand side by side. */
const WIDEST_CELL = (MAIL_WIDTH - GAP.length) / 2;
/** Beside a wider first column there is room for one or two others. */
const WIDEST_KEY = 44;

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
  if (line.length > MAIL_LIMIT) return `is ${line.length} columns wide, at most ${MAIL_LIMIT}`;
  return null;
}

/** The text in printable ASCII: any other character as JavaScript would escape it, such as "\u{f6}". */
export function asciiText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/**
 * One table: a header line, then a line per record, columns two spaces apart.
 *
 * @throws Error when a line does not fit a mail, see `mailText`. `textTables` takes any text.
 */
export function textTable<Row>(columns: readonly TextColumn<Row>[], rows: readonly Row[]): string {
  return mailText(layOut(columns.map((column) => cellsOf(column, rows))));
}

/**
 * As many tables as it takes for all columns to fit; each repeats the first column, which names the record. The last one ends
 * in the list of what was too wide for a cell.
 */
export function textTables<Row>(columns: readonly TextColumn<Row>[], rows: readonly Row[]): string[] {
  const all = columns.map((column) => cellsOf(column, rows));
  const isWide = widthOf(all[0]) > WIDEST_KEY || all.some((column) => !fitsBeside(all[0], column));
  const { cells, list } = isWide ? folded(all) : { cells: all, list: [] };
  const [key, ...rest] = cells;
  const blocks: Cells[][] = [];
  let width = Number.POSITIVE_INFINITY;
  for (const column of rest) {
    const added = GAP.length + widthOf(column);
    if (width + added > MAIL_WIDTH) {
      blocks.push([key]);
      width = widthOf(key);
    }
    blocks[blocks.length - 1].push(column);
    width += added;
  }
  const tables = (blocks.length === 0 ? [[key]] : blocks).map(layOut);
  return [...tables.slice(0, -1), [...tables.slice(-1), ...list].join("\n")].map(mailText);
}

/** A column as text: its header and its cells. */
interface Cells {
  readonly align: "left" | "right";
  readonly texts: readonly string[];
}

function cellsOf<Row>({ header, align, text }: TextColumn<Row>, rows: readonly Row[]): Cells {
  return { align, texts: [header, ...rows.map(text)].map(asciiText) };
}

function widthOf({ texts }: Cells): number {
  return texts.reduce((widest, { length }) => Math.max(widest, length), 0);
}

function fitsBeside(key: Cells, column: Cells): boolean {
  return (key === column ? 0 : widthOf(key) + GAP.length) + widthOf(column) <= MAIL_WIDTH;
}

/** With numbers in place of cells that are too wide, and the list of what they stand for. */
function folded(columns: readonly Cells[]): { readonly cells: Cells[]; readonly list: string[] } {
  const wide = [
    ...new Set(columns.flatMap(({ texts }) => texts).filter(({ length }) => length > WIDEST_CELL)),
  ];
  const numberOf = (text: string) => `[${wide.indexOf(text) + 1}]`;
  return {
    cells: columns.map(({ align, texts }) => ({
      align,
      texts: texts.map((text) => (wide.includes(text) ? numberOf(text) : text)),
    })),
    list: wide.map((text) => wrapText(`${numberOf(text)} ${text}`)),
  };
}

function layOut(columns: readonly Cells[]): string {
  const widths = columns.map(widthOf);
  const line = (row: number) =>
    columns
      .map(({ align, texts }, i) =>
        align === "right" ? texts[row].padStart(widths[i]) : texts[row].padEnd(widths[i]),
      )
      .join(GAP)
      .trimEnd();
  return columns[0].texts.map((_, row) => line(row)).join("\n");
}

/** The heading stands on its table, so that both get quoted; every further block has it again. */
export function headed(heading: string, tables: readonly string[]): string[] {
  return tables.map((table) => `${wrapText(heading)}\n${table}`);
}

/** A paragraph in ASCII, filled to so many columns. A word that is wider goes on in the next line. */
export function wrapText(text: string, width: number = MAIL_WIDTH): string {
  return fillLines(asciiText(text.replaceAll(/\s+/g, " ")), width).join("\n");
}

/** An item of a list of such paragraphs. */
export function listItem(text: string): string {
  return `- ${wrapText(text, MAIL_WIDTH - 2).replaceAll("\n", "\n  ")}`;
}

/** The words of a text in lines of at most so many characters. */
export function fillLines(text: string, width: number): string[] {
  const lines: string[] = [];
  let current = "";
  const take = (word: string) => {
    if (current !== "" && current.length + 1 + word.length > width) {
      lines.push(current);
      current = word;
    } else {
      current = current === "" ? word : `${current} ${word}`;
    }
  };
  for (const word of text.split(/\s+/)) {
    for (let at = 0; at < word.length; at += width) take(word.slice(at, at + width));
  }
  return [...lines, current];
}
