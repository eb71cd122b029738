/** A line on a terminal that the next one replaces. Where there is no terminal, only what is said to stay is written. */
import { clearLine, cursorTo } from "node:readline";
import type { WriteStream } from "node:tty";

export interface TerminalLine {
  /** Shows a text in place of the one before. */
  readonly show: (text: string) => void;
  readonly clear: () => void;
  /** Writes a line that stays; nothing for an empty one. */
  readonly say: (text: string) => void;
}

export function terminalLine(stream: WriteStream): TerminalLine {
  const clear = () => {
    if (!stream.isTTY) return;
    cursorTo(stream, 0);
    clearLine(stream, 0);
  };
  return {
    show: (text) => {
      clear();
      if (stream.isTTY) stream.write(text.slice(0, (stream.columns || 80) - 1));
    },
    clear,
    say: (text) => {
      clear();
      if (text !== "") stream.write(`exitlab: ${text}\n`);
    },
  };
}
