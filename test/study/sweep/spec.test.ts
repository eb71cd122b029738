import { describe, expect, it } from "vitest";
import { withField } from "../../../src/study/sweep/field-path.js";
import { expand, parseSweep } from "../../../src/study/sweep/spec.js";
import { BASE, SWEEP } from "./fixture.js";

const points = (change: object) => expand(parseSweep({ ...SWEEP, ...change })).map(({ values }) => values);

describe("a sweep", () => {
  it("has all combinations of its axes, the last varies fastest, and each with every seed", () => {
    expect(points({ axes: { kernel: ["v4.2", "v6.19"], vcpus: [1, 2] }, seeds: [5, 9] })).toEqual([
      { kernel: "v4.2", vcpus: 1, seed: 5 },
      { kernel: "v4.2", vcpus: 1, seed: 9 },
      { kernel: "v4.2", vcpus: 2, seed: 5 },
      { kernel: "v4.2", vcpus: 2, seed: 9 },
      { kernel: "v6.19", vcpus: 1, seed: 5 },
      { kernel: "v6.19", vcpus: 1, seed: 9 },
      { kernel: "v6.19", vcpus: 2, seed: 5 },
      { kernel: "v6.19", vcpus: 2, seed: 9 },
    ]);
  });

  it("takes the values of a zipped group together", () => {
    const zip = [{ kernel: ["v4.2", "v6.19"], mitigations: ["off", "auto"] }];
    expect(points({ axes: {}, zip, seeds: 1 })).toEqual([
      { kernel: "v4.2", mitigations: "off", seed: 1 },
      { kernel: "v6.19", mitigations: "auto", seed: 1 },
    ]);
  });

  it("leaves a field out where its value is null", () => {
    const axes = { exitEvicts: ["l1", null], "doorbells.perPage": [4, null] };
    const scenarios = expand(parseSweep({ name: "two", base: { ...BASE, exitEvicts: "l1" }, axes }));
    expect(scenarios[3].scenario).toEqual({ ...BASE, seed: 1 });
    expect(scenarios[0].scenario).toMatchObject({ exitEvicts: "l1", doorbells: { perPage: 4 } });
  });

  it("leaves out what matches an exclusion in all its fields", () => {
    const axes = { kernel: ["v4.2", "v6.19"], paging: ["ept", "npt"] };
    expect(points({ axes, exclude: [{ kernel: "v4.2", paging: "npt" }], seeds: 1 })).toEqual([
      { kernel: "v4.2", paging: "ept", seed: 1 },
      { kernel: "v6.19", paging: "ept", seed: 1 },
      { kernel: "v6.19", paging: "npt", seed: 1 },
    ]);
  });

  it("counts its seeds from that of the base", () => {
    expect(points({ base: { ...BASE, seed: 40 }, axes: {}, seeds: 3 })).toEqual([
      { seed: 40 },
      { seed: 41 },
      { seed: 42 },
    ]);
  });

  it("is the base alone where nothing varies", () => {
    expect(expand(parseSweep({ name: "one", base: BASE }))).toEqual([
      { values: { seed: 1 }, scenario: { ...BASE, seed: 1 } },
    ]);
  });

  it.each([
    ["a name that is a path", { name: "../a" }, /sweep: name: "..\/a" is not allowed; allowed: a name for/],
    ["an unknown field", { axis: {} }, /sweep: axis: is an unknown field \(did you mean axes\?\)/],
    [
      "an axis without values",
      { axes: { kernel: [] } },
      /axes\.kernel: \[\] is not allowed; allowed: a list of at/,
    ],
    ["a field that varies twice", { zip: [{ kernel: ["v4.2"] }] }, /kernel: varies twice/],
    [
      "a group of lists that do not fit",
      { zip: [{ vcpus: [1, 2], paging: ["ept"] }] },
      /zip\[0\]: has lists of different lengths: vcpus 2, paging 1/,
    ],
    [
      "an exclusion of what does not vary",
      { exclude: [{ vcpus: 1 }] },
      /exclude\[0\]\.vcpus: does not vary; allowed: .*kernel/,
    ],
    [
      "a field inside another that varies",
      { axes: { "workload[reads].weight": [0], workload: [[]] } },
      /axes: workload\[reads\]\.weight|workload\[reads\]\.weight: is the same field as workload, or inside it/,
    ],
    [
      "a field by its name and its index",
      { axes: { "workload[reads].weight": [0], "workload[1].weight": [1] } },
      /is the same field as workload\[1\]\.weight, or inside it/,
    ],
    [
      "an exclusion of a value that nothing has",
      { exclude: [{ kernel: "v4.3" }] },
      /exclude\[0\]\.kernel: "v4\.3" is not allowed; allowed: one of "v4\.2", "v6\.19"/,
    ],
    ["a field of JavaScript's own", JSON.parse('{"axes":{"__proto__":[1]}}'), /__proto__: is no field/],
    ["a seed that is none", { base: { ...BASE, seed: "abc" } }, /base\.seed: "abc" is not allowed/],
    ["no seed", { seeds: [] }, /seeds: .*at least one seed|seeds: \[\] is not allowed/],
    ["a group of nothing", { zip: [{}] }, /zip\[0\]: has no field/],
    ["a seed twice", { seeds: [1, 1] }, /seeds: 1 is not allowed; allowed: each seed once/],
    ["a seed as an axis", { axes: { seed: [1] } }, /axes\.seed: is no axis/],
    [
      "exclusions that leave nothing",
      { axes: { vcpus: [1] }, seeds: 1, exclude: [{ vcpus: 1 }] },
      /exclude: leaves no point/,
    ],
    [
      "more points than anybody waits for",
      { seeds: 1e6 },
      /axes: give 4000000 points; allowed: at most 1000000/,
    ],
    [
      "a list that the base does not have",
      { axes: { "ioeventfds[0].len": [1] } },
      /ioeventfds\[0\]\.len: is in no list/,
    ],
    [
      "a name that no element has",
      { axes: { "workload[writes].weight": [1] } },
      /"writes" is not allowed; allowed: 0 to 1, reads/,
    ],
    [
      "a path that is none",
      { axes: { "a b": [1] } },
      /axes: "a b" is not allowed; allowed: a field of a scenario/,
    ],
  ])("is refused with %s", (_, change, message) => {
    expect(() => points(change)).toThrow(message);
  });

  it("is refused where it is no object", () => {
    expect(() => parseSweep([])).toThrow("sweep: [] is not allowed; allowed: an object with name, base");
    expect(() => parseSweep(undefined)).toThrow(
      "sweep: null is not allowed; allowed: an object with name, base",
    );
  });
});

describe("a field's path", () => {
  const scenario = { a: 1, list: [{ name: "x", b: 2 }, { b: 3 }], o: { p: { q: 4 } } };

  it.each([
    ["a", { ...scenario, a: 9 }],
    ["list[1].b", { ...scenario, list: [{ name: "x", b: 2 }, { b: 9 }] }],
    ["list[x].b", { ...scenario, list: [{ name: "x", b: 9 }, { b: 3 }] }],
    ["list[0]", { ...scenario, list: [9, { b: 3 }] }],
    ["o.p.q", { ...scenario, o: { p: { q: 9 } } }],
    ["new.one", { ...scenario, new: { one: 9 } }],
  ])("%s means one field, and leaves the scenario as it was", (path, changed) => {
    const before = structuredClone(scenario);
    expect(withField(scenario, path, 9, "axes")).toEqual(changed);
    expect(scenario).toEqual(before);
  });

  it("names an element by whatever it is called, spaces and dots among it", () => {
    const patched = { patches: [{ name: "present only, v1.2", constants: { pages: 1 } }, "rfc"] };
    expect(withField(patched, "patches[present only, v1.2].constants.pages", 2, "axes")).toEqual({
      patches: [{ name: "present only, v1.2", constants: { pages: 2 } }, "rfc"],
    });
  });

  it.each([
    ["a.b", /axes: a\.b: b is in no object/],
    ["o[0]", /axes: o\[0\]: is in no list/],
    ["list[2]", /axes: list\[2\]: "2" is not allowed; allowed: 0 to 1, x/],
    ["", /axes: "" is not allowed/],
    ["a..b", /axes: "a..b" is not allowed/],
  ])("%s is refused", (path, message) => {
    expect(() => withField(scenario, path, 9, "axes")).toThrow(message);
  });
});
