/** `exitlab conform`: the model against tables of outcomes. */
import { type Conformance, conform } from "../study/conformance/table.js";

export async function conformCommand(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const result = await conform(path);
    if (paths.length > 1) process.stdout.write(`${path}: `);
    process.stdout.write(`${report(result)}\n`);
    if (result.failed > 0) process.exitCode = 1;
  }
}

/** "N passed, M failed, K skipped", and the first failures with their rows. */
function report({ passed, failed, skipped, failures }: Conformance): string {
  const lines = [`${passed} passed, ${failed} failed, ${skipped} skipped`];
  for (const { line, row, expected, got } of failures) {
    const where = `line ${line}: `;
    lines.push(`${where}expected ${expected}`, `${" ".repeat(where.length)}got      ${got}`, `  ${row}`);
  }
  if (failed > failures.length) lines.push(`and ${failed - failures.length} more failures`);
  return lines.join("\n");
}
