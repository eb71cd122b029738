/** `exitlab scenario`: the fields of a scenario, from its schema. */
import type { Command } from "commander";
import { wrapText } from "../report/text-table.js";
import { scenarioFields } from "../study/run/scenario.js";

/** Adds the command to the program. */
export function addScenario(program: Command): void {
  program
    .command("scenario")
    .description("print every field of a scenario: what it may be, and its default")
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  exitlab scenario | grep -A2 doorbells")
    .action(scenarioCommand);
}

function scenarioCommand({ json = false }: { readonly json?: boolean }): void {
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
