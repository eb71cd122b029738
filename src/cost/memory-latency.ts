/**
 * Measured load latency: one CSV file per processor, by access pattern, footprint and stride. It is what TLBs and caches of
 * a profile's geometry have to explain; `data/README.md` says who measured it and how the patterns are read.
 */
import { CsvFile } from "./csv-file.js";
import { dataNames, dataPath, InputError, notAllowed } from "./input.js";

const COLUMNS = ["pattern", "footprint_kib", "stride_bytes", "cycles_per_load"] as const;

/**
 * In which order the loads go over the footprint.
 * - page-random: at random inside a window of some pages, the windows in sequence
 * - random-full: at random over all of it
 * - linear-forward: in sequence, which prefetchers serve
 */
export const LATENCY_PATTERNS = ["page-random", "random-full", "linear-forward"] as const;
export type LatencyPattern = (typeof LATENCY_PATTERNS)[number];

export interface MemoryLatency {
  readonly pattern: LatencyPattern;
  /** Memory that the loads go over, in KiB. */
  readonly footprintKib: number;
  /** Distance of the places that are loaded, in bytes. */
  readonly strideBytes: number;
  /** Core cycles from a load to the next, which needs its value. */
  readonly cyclesPerLoad: number;
}

/**
 * Reads `data/memory-latency/NAME.csv`; names are those of the processor profiles, as far as there is a file.
 *
 * @throws InputError for a name without a file
 */
export function loadMemoryLatency(name: string): MemoryLatency[] {
  const names = dataNames("memory-latency", ".csv");
  if (!names.includes(name))
    throw new InputError("memory latency", notAllowed(name), `one of ${names.join(", ")}`);
  return readMemoryLatency(dataPath("memory-latency", `${name}.csv`));
}

/** Reads a file of load latencies. @throws InputError that names the column, line and value */
export function readMemoryLatency(path: string): MemoryLatency[] {
  const file = new CsvFile(path, COLUMNS);
  return file.records.map((record, index) => {
    const pattern = LATENCY_PATTERNS.find((name) => name === record.pattern);
    if (pattern === undefined) throw file.mistake(index, "pattern", `one of ${LATENCY_PATTERNS.join(", ")}`);
    return {
      pattern,
      footprintKib: file.positive(index, "footprint_kib"),
      strideBytes: file.positive(index, "stride_bytes"),
      cyclesPerLoad: file.positive(index, "cycles_per_load"),
    };
  });
}
