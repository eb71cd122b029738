import { describe, expect, it } from "vitest";
import { exitFootprints, HANDLINGS } from "../../src/cost/exit-footprint.js";
import { ExitHandlerFootprint } from "../../src/kvm/exit-footprint.js";

describe("the assumed footprints", () => {
  it("are those of the file, of a light exit from 40 lines on 8 pages to 300 on 48", () => {
    const userspace = { userspaceLines: 600, userspacePages: 60 };
    const { low, value, high } = exitFootprints("light");
    expect(low).toEqual({ lines: 40, pages: 8, userspaceLines: 200, userspacePages: 20 });
    expect(value).toEqual({ lines: 120, pages: 20, ...userspace });
    expect(high).toEqual({ lines: 300, pages: 48, userspaceLines: 2000, userspacePages: 160 });
  });

  it.each(HANDLINGS)("of %s exits can be simulated", (handling) => {
    for (const footprint of Object.values(exitFootprints(handling)))
      expect(() => new ExitHandlerFootprint(footprint)).not.toThrow();
  });

  it("of an emulated exit are larger than those of a light one", () => {
    const [light, emulated] = HANDLINGS.map(exitFootprints);
    for (const end of ["low", "value", "high"] as const) {
      expect(emulated[end].lines).toBeGreaterThan(light[end].lines);
      expect(emulated[end].pages).toBeGreaterThan(light[end].pages);
    }
  });

  it("of another word are refused with the words there are", () => {
    expect(() => exitFootprints("heavy" as "light")).toThrow(
      /handling: "heavy" is not allowed; allowed: how an exit is handled, one of light, emulated/,
    );
  });
});
