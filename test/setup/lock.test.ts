import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { exclusively } from "../../src/setup/lock.mjs";
import { inJupyter } from "../../src/setup/project.mjs";

describe("two set-ups", () => {
  beforeEach(() => {
    vi.spyOn(console, "error").mockImplementation(() => {});
  });

  it("run one after the other", async () => {
    const order: string[] = [];
    const setUp = (name: string) =>
      exclusively(async () => {
        order.push(`${name} begins`);
        await sleep(50);
        order.push(`${name} ends`);
      });
    await Promise.all([setUp("first"), setUp("second")]);
    expect(order).toEqual(["first begins", "first ends", "second begins", "second ends"]);
  });

  it("do not wait for one that was killed", async () => {
    const { pid } = spawnSync(process.execPath, ["--version"]);
    await exclusively(async () => {
      writeFileSync(inJupyter("setup.lock"), String(pid));
      expect(await exclusively(async () => "done")).toBe("done");
    });
  });
});
