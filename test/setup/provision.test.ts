import { describe, expect, it } from "vitest";
import { plan, withoutFailures } from "../../src/setup/provision.mjs";

const nothing = { jupyter: null, chromium: null, redis: null };
const everything = { jupyter: true, chromium: true, redis: true };

describe("what set-up installs", () => {
  it("is nothing where everything is there", () => {
    expect(plan(everything, { debian: true, venv: true })).toEqual(nothing);
  });

  it("is Debian packages for root on a machine with apt-get", () => {
    const found = { jupyter: false, chromium: false, redis: false };
    expect(plan(found, { debian: true, venv: true })).toEqual({
      jupyter: "debian",
      chromium: "debian",
      redis: "debian",
    });
  });

  it("is only what is missing", () => {
    const possible = { debian: true, venv: true };
    expect(plan({ ...everything, jupyter: false }, possible)).toEqual({ ...nothing, jupyter: "debian" });
    expect(plan({ ...everything, chromium: false }, possible)).toEqual({ ...nothing, chromium: "debian" });
    expect(plan({ ...everything, redis: false }, possible)).toEqual({ ...nothing, redis: "debian" });
  });

  it("is a virtual environment with Jupyter, and nothing else, for others who have a Python", () => {
    const found = { jupyter: false, chromium: false, redis: false };
    expect(plan(found, { debian: false, venv: true })).toEqual({ ...nothing, jupyter: "venv" });
  });

  it("is nothing where there is no way", () => {
    const found = { jupyter: false, chromium: false, redis: false };
    expect(plan(found, { debian: false, venv: false })).toEqual(nothing);
  });

  it("is not tried a second time in the way that failed", () => {
    const wanted = { jupyter: "debian", chromium: "debian", redis: "debian" } as const;
    expect(withoutFailures(wanted, wanted)).toEqual(nothing);
    expect(withoutFailures(wanted, nothing)).toEqual(wanted);
    expect(withoutFailures(wanted, { ...nothing, jupyter: "venv", redis: "debian" })).toEqual({
      jupyter: "debian",
      chromium: "debian",
      redis: null,
    });
  });
});
