import { describe, expect, it } from "vitest";
import { plan, withoutFailures } from "../../src/setup/provision.mjs";

const nothing = { jupyter: null, chromium: null };

describe("what set-up installs", () => {
  it("is nothing where Jupyter and Chromium are there", () => {
    expect(plan({ jupyter: true, chromium: true }, { debian: true, venv: true })).toEqual(nothing);
  });

  it("is Debian packages for root on a machine with apt-get", () => {
    const found = { jupyter: false, chromium: false };
    expect(plan(found, { debian: true, venv: true })).toEqual({ jupyter: "debian", chromium: "debian" });
  });

  it("is only what is missing", () => {
    const possible = { debian: true, venv: true };
    expect(plan({ jupyter: true, chromium: false }, possible)).toEqual({ jupyter: null, chromium: "debian" });
    expect(plan({ jupyter: false, chromium: true }, possible)).toEqual({ jupyter: "debian", chromium: null });
  });

  it("is a virtual environment with Jupyter, and no browser, for others who have a Python", () => {
    const found = { jupyter: false, chromium: false };
    expect(plan(found, { debian: false, venv: true })).toEqual({ jupyter: "venv", chromium: null });
  });

  it("is nothing where there is no way", () => {
    expect(plan({ jupyter: false, chromium: false }, { debian: false, venv: false })).toEqual(nothing);
  });

  it("is not tried a second time in the way that failed", () => {
    const wanted = { jupyter: "debian", chromium: "debian" } as const;
    expect(withoutFailures(wanted, wanted)).toEqual(nothing);
    expect(withoutFailures(wanted, nothing)).toEqual(wanted);
    expect(withoutFailures(wanted, { jupyter: "venv", chromium: "debian" })).toEqual({
      jupyter: "debian",
      chromium: null,
    });
  });
});
