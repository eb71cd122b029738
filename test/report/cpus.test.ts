import { describe, expect, it } from "vitest";
import { cpuNames, loadCpu } from "../../src/cost/cpu-profile.js";
import { cpuTable, cpuValueList, tableCpus, tableCpuValues } from "../../src/report/cpus.js";
import { columnsOf } from "../../src/report/records.js";

describe("the table of processor profiles", () => {
  it("has a record for each, with shares of the tags that add up to all of its values", () => {
    const records = tableCpus();
    expect(records.map(({ name }) => name)).toEqual(cpuNames());
    expect(columnsOf(records)).toEqual([
      "name",
      "model",
      "vendor",
      "year",
      "values",
      "measured",
      "derived",
      "assumed",
    ]);
    for (const { measured, derived, assumed } of records)
      expect(Number(measured) + Number(derived) + Number(assumed)).toBeCloseTo(1, 12);
  });

  it("says of a profile how many of its values are measured", () => {
    const { values } = loadCpu("lynnfield-i7-860");
    const measured = values.filter(({ tag }) => tag === "measured").length;
    const record = tableCpus().find(({ name }) => name === "lynnfield-i7-860");
    expect(record).toMatchObject({
      model: "Intel Core i7-860 (Lynnfield, Nehalem)",
      vendor: "Intel",
      year: 2009,
    });
    expect(Number(record?.measured) * Number(record?.values)).toBeCloseTo(measured, 12);
  });

  it("as text has the shares in per cent, the model below, and what the tags mean", () => {
    const text = cpuTable();
    expect(text).toMatch(/^profile +vendor +year +measured +derived +assumed\n/);
    expect(text).toMatch(/\nzen-4-ryzen-9-7950x +AMD +2022 +\d+% +\d+% +\d+%\n {4}AMD Ryzen 9 7950X /);
    expect(text).toContain("assumed: neither");
  });
});

describe("the values of a profile", () => {
  const values = tableCpuValues("ice-lake-sp-platinum-8351n");
  const of = (field: string) => values.find((record) => record.field === field);

  it("are those of its file, all with unit, range, tag and source", () => {
    expect(columnsOf(values)).toEqual(["field", "value", "unit", "range", "tag", "source"]);
    expect(values).toHaveLength(loadCpu("ice-lake-sp-platinum-8351n").values.length);
    expect(values.every((record) => Object.values(record).every((text) => text !== ""))).toBe(true);
  });

  it("may be a number, a size with its ways, what is not there, true or false, or a policy", () => {
    expect(of("latency.Dram")).toMatchObject({ value: "66.5", unit: "ns", range: "60..110" });
    const stlb = { value: "16-way 2048", unit: "entries", range: "8-way 1024..16-way 2048" };
    expect(of("geometry.stlb")).toMatchObject(stlb);
    expect(of("geometry.l1d")).toMatchObject({ value: "12-way 49152", unit: "bytes" });
    expect(of("geometry.pml5eCache")).toMatchObject({ value: "2-way 2", range: "none..4-way 8" });
    expect(of("geometry.l3Hash")).toMatchObject({ value: "page", unit: "policy", range: "none, page, line" });
    expect(of("geometry.guest1GPages")).toMatchObject({ value: "true", unit: "boolean", range: "true" });
    expect(of("geometry.l1dReplacement")).toMatchObject({ value: "lru", range: "lru, fifo, random" });
  });

  it.each(cpuNames())("of %s fit a mail as text, with every word of their sources", (name) => {
    const text = cpuValueList(name);
    for (const line of text.split("\n")) expect(line).toMatch(/^[\x20-\x7e]{0,75}$/);
    const words = text.split(/\s+/).join(" ");
    for (const { field, unit, tag, source } of tableCpuValues(name)) {
      expect(text).toContain(`\n${field}\n`);
      expect(words).toContain(`[${unit}]`);
      expect(words).toContain(`; ${tag} ${source} `);
    }
  });

  it("of an unknown profile are refused with the names there are", () => {
    for (const values of [tableCpuValues, cpuValueList])
      expect(() => values("pentium")).toThrow(/cpu: "pentium" is not allowed; allowed: one of broadwell-e/);
  });
});
