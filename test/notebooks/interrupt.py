"""Interrupts a cell of a tslab kernel: interrupt.py FOLDER CODE FILE LINES

Runs the code in the folder, interrupts the kernel once the file has so many lines, and then runs another cell. Prints what the
two cells ended with, and the texts under the first, as JSON.
"""

import json
import os
import sys
import time

from jupyter_client.manager import KernelManager

LIMIT = 60  # seconds that anything may take


def main(folder, code, file, lines):
    manager = KernelManager(kernel_name="tslab")
    manager.start_kernel(cwd=folder)
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=LIMIT)
        cell = client.execute(code)
        wait_until(lambda: lines_in(file) >= int(lines))
        manager.interrupt_kernel()
        first = status_of(client, cell)
        shown = texts(client, cell)
        time.sleep(1)  # tslab drops what is queued in the moments after a failure
        second = status_of(client, client.execute("1 + 1"))
        json.dump({"first": first, "second": second, "shown": shown}, sys.stdout)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def lines_in(file):
    return open(file).read().count("\n") if os.path.exists(file) else 0


def wait_until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("nothing was finished")
        time.sleep(0.05)


def status_of(client, cell):
    while True:
        reply = client.get_shell_msg(timeout=LIMIT)
        if reply["parent_header"].get("msg_id") == cell:
            return reply["content"]["status"]


def texts(client, cell):
    shown = []
    while True:
        message = client.get_iopub_msg(timeout=LIMIT)
        if message["parent_header"].get("msg_id") != cell:
            continue
        if message["content"].get("execution_state") == "idle":
            return shown
        if message["msg_type"].endswith("display_data"):
            shown.append(message["content"]["data"]["text/plain"])


if __name__ == "__main__":
    main(*sys.argv[1:])
