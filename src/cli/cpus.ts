/** `exitlab cpus`: the processor profiles, and with a name every value of one. */
import { loadCpu } from "../cost/cpu-profile.js";
import { cpuTable, cpuValueList, tableCpus } from "../report/cpus.js";

export function cpusCommand(name: string | undefined, { json = false }: { readonly json?: boolean }): void {
  if (json) {
    const records = name === undefined ? tableCpus() : loadCpu(name).values;
    process.stdout.write(`${JSON.stringify(records, null, 2)}\n`);
    return;
  }
  process.stdout.write(name === undefined ? cpuTable() : cpuValueList(name));
}
