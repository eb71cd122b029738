/** `exitlab merge`: the result file of a sweep from the journals of its shards. */
import { mergeSweep } from "../study/sweep/merge.js";
import { report } from "./sweep.js";

export async function mergeCommand(
  folder: string,
  { json = false }: { readonly json?: boolean },
): Promise<void> {
  report(await mergeSweep(folder), json);
}
