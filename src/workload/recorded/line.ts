/** One line of a recording, read from its bytes: a string per line would cost more than all the rest. */
import { InputError, notAllowed } from "../../cost/input.js";

/** Characters of a line that a message shows. */
const SHOWN = 200;

const SPACE = 0x20;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const LETTER_A = 0x61;
const LETTER_F = 0x66;
/** What makes a letter lower case. */
const LOWER = 0x20;

/** Digits of a 64-bit number. */
const HEXADECIMAL_DIGITS = 16;
const DECIMAL_DIGITS = 20;

export class Line {
  /** Counted from 1. */
  number = 0;
  private bytes: Buffer = Buffer.alloc(0);
  private start = 0;
  private end = 0;
  /** Where the next character is read. */
  private at = 0;

  /** @param path of the recording, for messages */
  constructor(private readonly path: string) {}

  /** The next line: bytes from `start` to before `end`, without its line end. */
  set(bytes: Buffer, start: number, end: number): void {
    this.number++;
    this.bytes = bytes;
    this.start = start;
    this.at = start;
    this.end = end;
  }

  /** Whether everything is read. */
  get done(): boolean {
    return this.at === this.end;
  }

  /** Reads on from the beginning. */
  rewind(): void {
    this.at = this.start;
  }

  /** Reads an expected character, given by its code. False: another one is next, and still is. */
  skip(code: number): boolean {
    if (this.at === this.end || this.bytes[this.at] !== code) return false;
    this.at++;
    return true;
  }

  /** Reads an expected text of ASCII characters. False: it is not next, and what is next still is. */
  skipText(text: string): boolean {
    const { bytes, at } = this;
    if (this.end - at < text.length) return false;
    for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
    this.at = at + text.length;
    return true;
  }

  /** Reads spaces, as many as there are. */
  skipSpaces(): void {
    while (this.at < this.end && this.bytes[this.at] === SPACE) this.at++;
  }

  /** Reads a decimal number. -1: there is none, or it has more digits than 64 bits. */
  decimal(): number {
    const { bytes, end } = this;
    const start = this.at;
    let at = start;
    let value = 0;
    for (; at < end; at++) {
      const code = bytes[at];
      if (code < DIGIT_0 || code > DIGIT_9) break;
      value = value * 10 + (code - DIGIT_0);
    }
    this.at = at;
    return at === start || at - start > DECIMAL_DIGITS ? -1 : value;
  }

  /** Reads a hexadecimal number without prefix. -1: there is none, or it has more digits than 64 bits. */
  hexadecimal(): number {
    const { bytes, end } = this;
    const start = this.at;
    let at = start;
    let value = 0;
    for (; at < end; at++) {
      const code = bytes[at];
      let digit: number;
      if (code >= DIGIT_0 && code <= DIGIT_9) digit = code - DIGIT_0;
      else {
        const letter = code | LOWER;
        if (letter < LETTER_A || letter > LETTER_F) break;
        digit = letter - LETTER_A + 10;
      }
      value = value * 16 + digit;
    }
    this.at = at;
    return at === start || at - start > HEXADECIMAL_DIGITS ? -1 : value;
  }

  /** What is left to read. */
  rest(): string {
    return this.bytes.toString("utf8", this.at, this.end);
  }

  text(): string {
    return this.bytes.toString("utf8", this.start, this.end);
  }

  /** For a line that is not as it should be. */
  mistake(allowed: string): InputError {
    const text = this.text();
    const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
    return this.error("", notAllowed(shown), allowed);
  }

  /** @param place in the line, such as ", column op" */
  error(place: string, found: string, allowed: string): InputError {
    return new InputError(`${this.path}: line ${this.number}${place}`, found, allowed);
  }
}
