/**
 * Flat records, the form in which every figure's numbers leave this folder: for a danfo frame, for CSV, for a table in a
 * notebook. They are checked here once, because danfo reads records by position and shifts values without a word when a
 * key is missing.
 */

/** One flat record. Numbers are in the unit that the function returning the records names. */
export type FlatRecord = Readonly<Record<string, string | number | boolean>>;

/** A list of records that all have the same keys. */
export type Records = readonly FlatRecord[];

/**
 * The column names of the records, in the order of the first record's keys.
 *
 * @throws Error when the list is empty, or naming the first row and key that is missing, too many, or not a flat value.
 */
export function columnsOf(rows: Records): readonly string[] {
  if (rows.length === 0) throw new Error("no rows: a table needs at least one record");
  const columns = Object.keys(rows[0]);
  rows.forEach((row, index) => {
    for (const key of columns) {
      if (!Object.hasOwn(row, key)) throw new Error(`row ${index} has no ${JSON.stringify(key)}`);
      const kind = row[key] === null ? "null" : typeof row[key];
      if (kind !== "string" && kind !== "number" && kind !== "boolean") {
        throw new Error(`row ${index}: ${JSON.stringify(key)} is ${kind}, not a string, number or boolean`);
      }
    }
    for (const key of Object.keys(row)) {
      if (!columns.includes(key))
        throw new Error(`row ${index} has ${JSON.stringify(key)}, which row 0 lacks`);
    }
  });
  return columns;
}
