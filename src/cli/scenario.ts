/** `exitlab scenario`: the fields of a scenario, from its schema. */
import { wrapText } from "../report/text-table.js";
import { scenarioFields } from "../study/run/scenario.js";

export function scenarioCommand({ json = false }: { readonly json?: boolean }): void {
  const fields = scenarioFields();
  if (json) {
    process.stdout.write(`${JSON.stringify(fields, null, 2)}\n`);
    return;
  }
  const entries = fields.map(({ field, allowed, default: usual }) => {
    const end = usual === "" ? "optional" : usual === "required" ? usual : `default ${usual}`;
    const text = wrapText(`${allowed}; ${end}`, 71).replaceAll("\n", "\n    ");
    return `${field}\n    ${text}\n`;
  });
  process.stdout.write(entries.join(""));
}
