/** What the model says of the rows of `exitlab measure`, as records and as a mail. */
import type { ExpectedRow, ExpectedRows } from "../study/measure/expected-rows.js";
import { cycles, range } from "./format.js";
import { mail } from "./mail.js";
import type { Records } from "./records.js";
import { headed, simulated, type TextColumn, textTables, wrapText } from "./text-table.js";

/** One record per row and paging, TSC cycles of one access. */
export function tableExpectedRows({ pagings, rows }: ExpectedRows): Records {
  return rows.flatMap(({ name, cycles: of }) =>
    pagings.flatMap((paging) => {
      const expected = of[paging];
      return expected === undefined ? [] : [{ row: name, paging, ...expected }];
    }),
  );
}

/** The same in ASCII, at most 72 columns. */
export function expectedRowsTable(expected: ExpectedRows): string {
  const { provenance, model, pagings, rows } = expected;
  const columns: TextColumn<ExpectedRow>[] = [
    { header: simulated("row"), align: "left", text: ({ name }) => name },
    ...pagings.flatMap((paging): TextColumn<ExpectedRow>[] => [
      {
        header: paging,
        align: "right",
        text: ({ cycles: of }) => cycles(of[paging]?.value ?? Number.NaN),
      },
      {
        header: "range",
        align: "right",
        text: ({ cycles: of }) => range(of[paging] ?? { low: Number.NaN, high: Number.NaN }, cycles),
      },
    ]),
  ];
  return mail({
    provenance,
    head: [`Simulated: ${model}`],
    parts: [
      ...headed("What one access takes [TSC cycles]", textTables(columns, rows)),
      wrapText(
        "range: what the costs allow. shadow: without EPT or nested page tables. The costs of userspace are QEMU's.",
      ),
    ],
  });
}
