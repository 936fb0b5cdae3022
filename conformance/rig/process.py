"""A server process: started, awaited, measured and stopped by its id."""

import os
import random
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Process:
    """A server with its children. Its output goes to `log`; `port` is where it listens on loopback."""

    def __init__(self, name, command, port, log, env=None, cwd=None):
        self.name, self.port, self.log = name, port, Path(log)
        with open(log, "ab") as output:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # What is named so is for us, but Harbinger would take it for its configuration.
                env={**{name: value for name, value in os.environ.items() if not name.startswith("HARBINGER_")}, **(env or {})},
                cwd=cwd,
            )

    def __enter__(self):
        return self.wait_open()

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def alive(self):
        return self.child.poll() is None

    def wait_open(self, seconds=30):
        """Waits until the port takes connections; raises with the end of the log when it does not come to that."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.alive():
                raise RuntimeError(f"{self.name} ended with {self.child.returncode}: {self.tail()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} does not listen on {self.port}: {self.tail()}")

    def tail(self):
        return self.log.read_text(errors="replace")[-1500:]

    def stop(self):
        """Asks it to end, and kills it when it has not done so within five seconds."""
        if not self.alive():
            return
        family = self.pids()
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            for pid in family:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.child.wait()

    def pids(self):
        found, todo = [], [self.child.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    todo += map(int, task.read_text().split())
                except OSError:
                    pass
        return found

    def cpu_seconds(self):
        """User and system time of all its processes so far."""
        ticks = 0
        for pid in self.pids():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS

    def peak_rss(self):
        """Highest resident memory (VmHWM) in MB, summed over its processes."""
        total = 0
        for pid in self.pids():
            try:
                total += int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
            except (OSError, TypeError):
                pass
        return total / 1024


GIVEN = set()


def free_port():
    """A port of loopback that nobody listens on, from below those that the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in GIVEN:
            GIVEN.add(port)
            return port
