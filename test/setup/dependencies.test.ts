import { describe, expect, it } from "vitest";
import { isInstalled } from "../../src/setup/dependencies.mjs";

const locked = {
  "": { version: "0.1.0" },
  "node_modules/zod": { version: "4.6.7", integrity: "sha512-a" },
  "node_modules/binary-for-another-machine": { version: "1.0.0", integrity: "sha512-b", optional: true },
};

describe("the installed packages are the locked ones", () => {
  it("when every one is there, but for those made for other machines", () => {
    expect(isInstalled(locked, { "node_modules/zod": { version: "4.6.7", integrity: "sha512-a" } })).toBe(
      true,
    );
  });

  it("not when one is missing", () => {
    expect(isInstalled(locked, {})).toBe(false);
  });

  it("not when one has another version or another content", () => {
    expect(isInstalled(locked, { "node_modules/zod": { version: "4.6.6", integrity: "sha512-a" } })).toBe(
      false,
    );
    expect(isInstalled(locked, { "node_modules/zod": { version: "4.6.7", integrity: "sha512-c" } })).toBe(
      false,
    );
  });
});
