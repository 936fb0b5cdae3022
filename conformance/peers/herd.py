"""A herd: many clients ask for one cold blob at the same moment."""

import statistics
import subprocess
import time
from dataclasses import dataclass

CLIENTS = 100
PROCESSES = 2
SECONDS = 300


@dataclass
class Herd:
    """What it was like, and what the registry behind the mirror saw of it."""

    upstream_gets: int
    complete: int
    first_byte_median: float
    first_byte_worst: float
    last_done: float


def run(stage, name, path, size):
    server = stage.servers[name]
    before = stage.upstream_gets(path)
    url, each = server.url + path, CLIENTS // PROCESSES
    command = ["curl", "-s", "-Z", "--parallel-immediate", "--parallel-max", str(each), "--max-time", str(SECONDS)]
    command += ["-w", "%{http_code} %{size_download} %{time_starttransfer} %{time_total}\n"]
    command += ["-o", "/dev/null", url] * each
    crowd = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(PROCESSES)]
    rows = [line.split() for process in crowd for line in process.communicate()[0].splitlines()]
    whole = [row for row in rows if row[0] == "200" and int(row[1]) == size]
    first = [float(row[2]) for row in whole] or [float("nan")]
    return Herd(
        upstream_gets=settled(stage, path) - before,
        complete=len(whole),
        first_byte_median=statistics.median(first),
        first_byte_worst=max(first),
        last_done=max((float(row[3]) for row in rows), default=float("nan")),
    )


def settled(stage, path):
    """The count once it stands still: the registry logs a request when it has ended, and a mirror may go on behind."""
    seen, quiet = stage.upstream_gets(path), 0
    for _ in range(120):
        time.sleep(0.5)
        now = stage.upstream_gets(path)
        quiet = quiet + 1 if now == seen else 0
        seen = now
        if quiet == 3 and seen:
            break
    return seen
