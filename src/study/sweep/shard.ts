/** A part of a sweep for one of several machines: the points whose keys fall into it, so that every machine agrees. */
import { InputError, notAllowed } from "../../cost/input.js";
import type { Point } from "./point.js";

export interface Shard {
  /** From 1 to `of`. */
  readonly index: number;
  readonly of: number;
}

/** "i/N", as a command line has it. @throws InputError */
export function parseShard(text: string): Shard {
  const [, index, of] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (index >= 1 && index <= of && of <= 1e6) return { index, of };
  throw new InputError("shard", notAllowed(text), "i/N, such as 1/3: i from 1 to N");
}

/** The points of a shard, by the first 48 bits of their keys; without one, all. */
export function pointsIn(shard: Shard | undefined, points: readonly Point[]): readonly Point[] {
  if (shard === undefined) return points;
  const { index, of } = shard;
  return points.filter(({ key }) => Number.parseInt(key.slice(0, 12), 16) % of === index - 1);
}
