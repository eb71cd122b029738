/** Work is done in the order in which it came, one piece at a time. */
import { expect, test } from "vitest";
import { inTurn } from "../../src/report/in-turn.js";

test("work begins when all before it has ended, well or not, and each gets its own result", async () => {
  const lane = inTurn();
  const done: string[] = [];
  const piece = (name: string, fails = false) =>
    lane(async () => {
      done.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      done.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const pieces = [piece("one"), piece("two", true), piece("three")];
  expect((await Promise.allSettled(pieces)).map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  expect(await pieces[2]).toBe("three");
  expect(done).toEqual(["one", "two", "three"].flatMap((name) => [`${name} begins`, `${name} ends`]));
});
