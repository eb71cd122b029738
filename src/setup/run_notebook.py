"""Executes a notebook in the tslab kernel: run_notebook.py NOTEBOOK OUTPUT SECONDS_PER_CELL

Prints {"ok", "failures": [{"cell", "message"}], "notRun"} as JSON; the exit status is 1 when a cell failed.

tslab answers a failed cell with the status "error" and nothing else: the text is on the cell's stderr. Of a promise that is
rejected and never awaited nobody hears. Cells queued behind a failure are dropped. So any text on stderr is a failure here,
the kernel is asked after each cell for what went wrong behind its back, and the first cell that fails ends the run.
"""

import asyncio
import json
import os
import sys
import tempfile

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

# Runs in the kernel before the first cell, and defines no name that a cell could see. tslab's own listeners print to a cell
# that has ended, where the text is lost.
INSTALL_CHECK = """{
  const { process, console, setTimeout } = globalThis as any;
  const unnoticed: any[] = [];
  const collect = (event: string, title: string) =>
    process.removeAllListeners(event).on(event, (reason: any) => { unnoticed.push(title, reason); });
  collect("unhandledRejection", "Unhandled rejection:");
  collect("uncaughtException", "Uncaught exception:");
  const pending = () =>
    process.getActiveResourcesInfo().filter((name: string) => /^(Timeout|FSReq|Worker|MessagePort)/.test(name)).length;
  const idle = pending();
  (globalThis as any).reportUnnoticed = async (patience: number) => {
    const end = Date.now() + patience;
    while (Date.now() < end && pending() > idle) await new Promise((resolve) => setTimeout(resolve, 20));
    if (unnoticed.length > 0) console.error(...unnoticed.splice(0));
  };
}"""
# Written without a bracket after "await", which tslab would take for a call of a function of that name.
CHECK = "await globalThis['reportUnnoticed']({patience});"

# How long, in milliseconds, timers, files and workers that are still busy after the last cell may take to fail.
PATIENCE = 3000

KERNEL = {"display_name": "TypeScript", "language": "typescript", "name": "tslab"}


async def main(path, output, timeout):
    notebook = nbformat.read(path, as_version=4)
    forget(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    failures = await execute(notebook, cells, os.path.dirname(os.path.abspath(path)), timeout)
    tidy(cells)
    nbformat.write(notebook, output)
    reached = failures[-1]["cell"] if failures else len(cells)
    not_run = list(range(reached + 1, len(cells) + 1))
    json.dump({"ok": not failures, "failures": failures, "notRun": not_run}, sys.stdout)
    return 1 if failures else 0


async def execute(notebook, cells, folder, timeout):
    """The failures of the first cell that has any; cells are counted from 1, as Jupyter does."""
    with tempfile.TemporaryFile("w+", errors="replace") as log:
        client = client_for(notebook, timeout)
        async with client.async_setup_kernel(cwd=folder, stdout=log, stderr=log):
            info = await client.async_wait_for_reply(client.kc.kernel_info())
            notebook.metadata.language_info = info["content"]["language_info"]
            problem = await aside(client, INSTALL_CHECK)
            if problem:
                raise RuntimeError(problem)
            try:
                for number, cell in enumerate(cells, 1):
                    problem = await problem_of(client, cell, number)
                    if not problem:
                        patience = PATIENCE if cell is cells[-1] else 0
                        problem = await aside(client, CHECK.format(patience=patience))
                    if problem:
                        return [{"cell": number, "message": problem}]
            except DeadKernelError:
                log.seek(0)
                return [{"cell": number, "message": f"the kernel died\n{log.read()[-2000:]}".strip()}]
    return []


def client_for(notebook, timeout, **shared):
    return NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        timeout=timeout,
        allow_errors=True,  # problem_of() judges, by more than the status
        skip_cells_with_tag="",
        record_timing=False,
        iopub_timeout=60,
        raise_on_iopub_timeout=True,
        shutdown_kernel="immediate",  # a kernel in an endless loop never answers a polite request
        **shared,
    )


async def problem_of(client, cell, number):
    """Runs one cell; what it did wrong, or None."""
    replies = []
    client.on_cell_executed = lambda execute_reply, **_: replies.append(execute_reply["content"]["status"])
    try:
        await client.async_execute_cell(cell, client.nb.cells.index(cell), execution_count=number)
    except CellTimeoutError:
        return f"no end after {client.timeout} s"
    stderr = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr").strip()
    if stderr or replies == ["ok"]:
        return stderr
    return f"the kernel did not run it and answered {replies}"


async def aside(client, code):
    """Runs code in the same kernel without a trace in the notebook; what it did wrong, or None."""
    scratch = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    other = client_for(scratch, client.timeout, km=client.km)
    other.kc = client.kc
    return await problem_of(other, scratch.cells[0], None)


def forget(notebook):
    """Removes what earlier runs left, so that the same sources give the same file."""
    notebook.metadata.kernelspec = KERNEL
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.update(outputs=[], execution_count=None)


def tidy(cells):
    """Joins the pieces in which a cell's text arrived: where it was cut is chance."""
    for cell in cells:
        joined = []
        for output in cell.outputs:
            last = joined[-1] if joined else None
            if last and output.output_type == last.output_type == "stream" and output.name == last.name:
                last.text += output.text
            else:
                joined.append(output)
        cell.outputs = joined


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
