/**
 * Groups of records, by as many keys as it takes. danfo joins the keys of a group with "-", so that ("a-b", "x") and ("a", "b-x")
 * are one group to it; here they are two, and what is computed of a group is computed in doubles.
 */
import { columnsOf, type FlatRecord, type Records } from "./records.js";

/**
 * One record per group, in the order in which the groups first occur: its keys, then what `figures` makes of its records.
 *
 * @throws Error when the records differ in their keys, or for a key that they do not have
 */
export function groupRecords(
  records: Records,
  keys: readonly string[],
  figures: (group: Records) => FlatRecord,
): Records {
  const columns = columnsOf(records);
  const unknown = keys.find((key) => !columns.includes(key));
  if (unknown !== undefined)
    throw new Error(`no column ${JSON.stringify(unknown)}; there are ${columns.join(", ")}`);
  const groups = new Map<string, FlatRecord[]>();
  for (const record of records) {
    const name = JSON.stringify(keys.map((key) => record[key]));
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [record]);
    else group.push(record);
  }
  return [...groups.values()].map((group) => ({
    ...Object.fromEntries(keys.map((key) => [key, group[0][key]])),
    ...figures(group),
  }));
}
