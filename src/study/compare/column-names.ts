/** What columns are called that are files. */
import { resolve, sep } from "node:path";

/** The names of the files, with as many of the folders above them as tell all of them apart. */
export function columnNames(files: readonly string[]): string[] {
  const paths = files.map((file) => resolve(file).split(sep));
  const deepest = Math.max(...paths.map((path) => path.length));
  for (let depth = 1; ; depth++) {
    const ends = paths.map((path) => path.slice(-depth).join("/"));
    if (new Set(ends).size === ends.length || depth >= deepest) return ends;
  }
}
