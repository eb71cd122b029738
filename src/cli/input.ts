/** What the commands read: JSON files and numbers. */
import { readFileSync } from "node:fs";
import { InputError, notAllowed } from "../cost/input.js";

/** Whatever a JSON file holds: who takes it checks it. */
export function readJson<T>(path: string): T {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new InputError(path, (error as Error).message, "a readable file with JSON");
  }
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
