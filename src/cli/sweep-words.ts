/** What the commands on sweeps have in common, for commander. */

export const SWEEP =
  "a sweep: name, base scenario, axes, zip, exclude, seeds; in a file or as JSON that begins with {";
export const OUT = [
  "--out <folder>",
  "folder of its journal and results (default: out/ and its name)",
] as const;
export const SHARD = ["--shard <i/N>", "only the i-th of N parts; merge joins them"] as const;
