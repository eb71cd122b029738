/**
 * A line of a journal: a JSON object whose last field, `sum`, is the checksum of the line without it. By hand, for line 5:
 *
 *     sed -n 5p FILE | sed -E 's/,"sum":"[0-9a-f]{8}"\}$/}/' | tr -d '\n' | sha256sum | cut -c 1-8
 */
import { hash } from "node:crypto";
import type { Line } from "./lines.js";

const SUM = /^,"sum":"([0-9a-f]{8})"\}$/;
const SUM_LENGTH = ',"sum":"01234567"}'.length;

/** The line of an object that has a field, with its newline. */
export function sealed(record: object): string {
  const text = JSON.stringify(record);
  return `${text.slice(0, -1)},"sum":"${checksum(text)}"}\n`;
}

/** What a line holds, `sum` removed, or what is wrong with it. */
export type Unsealed = { readonly record: object } | { readonly wrong: string };

export function unsealed({ bytes, whole }: Line): Unsealed {
  if (!whole) return { wrong: "is cut off" };
  const length = Math.max(bytes.length - SUM_LENGTH, 0);
  // In bytes, not in text: what is no UTF-8 would be replaced on the way to text.
  const sum = SUM.exec(bytes.toString("latin1", length))?.[1];
  if (sum === undefined) return { wrong: "has no checksum at its end" };
  const text = Buffer.concat([bytes.subarray(0, length), Buffer.from("}")]);
  const right = checksum(text);
  if (sum !== right) return { wrong: `has the checksum ${sum}, but its text has ${right}` };
  return { record: JSON.parse(text.toString()) };
}

/** First 8 hex digits of the SHA-256. */
function checksum(text: string | Buffer): string {
  return hash("sha256", text).slice(0, 8);
}
