"""Warm speed: wrk on one path of one mirror, with what it cost the mirror's processes."""

import re
import statistics
import subprocess
from dataclasses import dataclass

from rig import content

UNITS = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


@dataclass
class Cell:
    """One measurement: answers and processor time of the mirror alone."""

    per_second: float
    micros_per_request: float
    seconds_per_gib: float
    errors: int


def measure(server, path, connections, seconds):
    before = server.cpu_seconds()
    threads = 1 if connections == 1 else 2
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "-H", f"Accept: {content.ACCEPT}"]
    printed = subprocess.run([*command, server.url + path], capture_output=True, text=True, check=True).stdout
    spent = server.cpu_seconds() - before

    requests = int(re.search(r"(\d+) requests in", printed)[1])
    amount, unit = re.search(r"([\d.]+)([KMGT]?B) read", printed).groups()
    read = float(amount) * UNITS[unit]
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", printed)))
    errors += sum(sum(map(int, re.findall(r"\d+", line))) for line in re.findall(r"Socket errors: (.*)", printed))
    return Cell(
        per_second=float(re.search(r"Requests/sec:\s+([\d.]+)", printed)[1]),
        micros_per_request=spent / max(requests, 1) * 1e6,
        seconds_per_gib=spent / max(read, 1) * 2**30,
        errors=errors,
    )


def middle(cells):
    """The medians of several measurements of one cell, and all their errors."""
    return Cell(
        *(statistics.median(getattr(cell, name) for cell in cells) for name in ("per_second", "micros_per_request", "seconds_per_gib")),
        errors=sum(cell.errors for cell in cells),
    )
