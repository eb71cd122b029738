/** What the formats have in common: each is read line by line. */
import type { Line } from "./line.js";

export interface LineReader {
  /**
   * Takes a line: adds its steps, at most `STEPS_PER_LINE`, or counts it as left out.
   * @throws InputError for a line that the format does not have
   */
  line(line: Line): void;
  /** After the last line: adds steps that are still due, until there are enough. True if none is due any more. */
  end(): boolean;
}
