/** What the commands read: JSON, in files or as it stands, and numbers. */
import { readFileSync } from "node:fs";
import { InputError, notAllowed } from "../cost/input.js";
import { inlineJson } from "../study/command.js";

/** Whether an argument is JSON itself, and no file with it. */
export function isJson(given: string): boolean {
  return given.trimStart().startsWith("{");
}

/** Whatever JSON an argument is, or the file that it names holds: who takes it checks it. */
export function readJson<T>(given: string): T {
  try {
    return JSON.parse(isJson(given) ? given : readFileSync(given, "utf8"));
  } catch (error) {
    const allowed = "a readable file with JSON, or JSON that begins with {";
    throw new InputError(nameOf(given, "JSON"), (error as Error).message, allowed);
  }
}

/** What errors call such an argument: a file by its path. */
export function nameOf(given: string, what: string): string {
  return isJson(given) ? what : given;
}

/** The argument as a command repeats it elsewhere, where the file is not. */
export function repeated(given: string): string {
  return inlineJson(readJson(given));
}

/** A whole number; its range is checked where the value is used. */
export function wholeNumber(option: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new InputError(option, notAllowed(text), "a whole number");
  return Number(text);
}

/** A number of more than 0. */
export function positiveNumber(option: string, text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (value === 0) throw new InputError(option, notAllowed(text), "a number of more than 0");
  return value;
}
