/**
 * The text of a mail around tables of simulated figures: what made them, under which conditions they hold, and the command that
 * makes them again.
 */
import type { Provenance } from "../study/result.js";
import { basisText, kernelText, switchesText, versionText } from "./provenance.js";
import { asciiText, MAIL_WIDTH, mailText, wrapText } from "./text-table.js";

export interface MailContents {
  readonly provenance: Provenance;
  /** What the figures are of, in a few words for each line. */
  readonly head?: readonly string[];
  /** Paragraphs and tables, as `wrapText` and `textTables` make them. */
  readonly parts: readonly string[];
}

/** The whole mail, in ASCII of at most 75 columns. @throws Error for parts that no mail can carry, see `mailText` */
export function mail({ provenance, head = [], parts }: MailContents): string {
  const top = [
    "SIMULATED, not hardware",
    ...[
      versionText(provenance),
      `Costs: ${basisText(provenance)}`,
      ...head,
      profileText(provenance),
      `Open switches: ${switchesText(provenance, "all")}`,
    ].map((text) => wrapText(text)),
  ].join("\n");
  return mailText(`${[top, ...parts, `To repeat:\n${commandText(provenance)}`].join("\n\n")}\n`);
}

function profileText(provenance: Provenance): string {
  const kernel = kernelText(provenance);
  return `Profile: ${[provenance.conditions.cpus.join(", "), ...(kernel === "" ? [] : [kernel])].join("; ")}`;
}

function commandText({ command }: Provenance): string {
  return command === null
    ? wrapText("the cell that made it; no command can name the costs that were given there")
    : wrapCommand(command, MAIL_WIDTH);
}

/** An indentation, and of the lines that go on. */
const FIRST = "  ";
const FURTHER = "    ";

/**
 * A shell command in lines of at most so many columns that a shell takes for the same words: broken at spaces, after a
 * backslash outside of apostrophes and between the tokens of JSON inside; a longer piece goes on at the left edge.
 */
export function wrapCommand(command: string, width: number): string {
  const room = width - " \\".length;
  const lines: string[] = [];
  let line = FIRST;
  for (const [index, { quoted, units }] of piecesOf(asciiText(command)).entries()) {
    const length = units.reduce((sum, { text }) => sum + text.length, 0);
    if (index > 0 && line.length + 1 + length > room) {
      lines.push(quoted ? line : `${line} \\`);
      line = FURTHER;
    } else if (index > 0) line += " ";
    for (const unit of units) {
      if (line.length + unit.text.length > room) {
        // The shell joins what stands on both sides of a backslash at a line's end.
        lines.push(`${line}${unit.quoted ? "'" : ""}\\`);
        line = unit.quoted ? "'" : "";
      }
      line += unit.text;
    }
  }
  return [...lines, line].join("\n");
}

/** A character of a command, or two that belong together, and whether apostrophes are around it. */
interface Unit {
  readonly text: string;
  readonly quoted: boolean;
}

/** What stands between two spaces of a command, maybe nothing, and whether apostrophes are around the space before it. */
interface Piece {
  readonly quoted: boolean;
  readonly units: Unit[];
}

/** A command, cut at its spaces, but for those of quoted words that are no JSON and of the strings in JSON. */
function piecesOf(command: string): Piece[] {
  const pieces: Piece[] = [{ quoted: false, units: [] }];
  let quoted = false;
  let isJson = false;
  let inString = false;
  for (const { 0: text, index } of command.matchAll(/\\?./g)) {
    if (text === " " && !(quoted && (!isJson || inString))) pieces.push({ quoted, units: [] });
    else pieces[pieces.length - 1].units.push({ text, quoted });
    // Inside apostrophes a backslash is a character like any other to the shell, but not to JSON.
    if (text.length > 1 && (!quoted || text !== "\\'")) continue;
    if (text.endsWith("'")) {
      quoted = !quoted;
      inString = false;
      // As `inlineJson()` writes it, and as a whole word.
      isJson = quoted && command[index - 1] === " " && command.startsWith("{ ", index + text.length);
    } else if (quoted && text === '"') inString = !inString;
  }
  return pieces;
}
