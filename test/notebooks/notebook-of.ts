/** A notebook with these code cells, as an earlier run may have left it. */
export function notebookOf(cells: readonly string[]) {
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {},
    cells: cells.map((source, index) => ({
      cell_type: "code",
      id: `cell-${index}`,
      metadata: { execution: { "iopub.status.busy": "2020-01-01T00:00:00Z" } },
      execution_count: 99,
      outputs: [],
      source,
    })),
  };
}
