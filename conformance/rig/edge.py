"""A Harbinger with its folder and its configuration, which can be ended, killed and started again on the same port."""

import os
import re
import signal
import time

from . import content, lab
from .client import fetch
from .process import Process, free_port

UPSTREAM = "origin.test"


class Edge:
    """`more` is added to the configuration; `upstream` is the URL of its only registry; `wrapper` are words before the command."""

    def __init__(self, place, upstream, more="", tag_ttl="1s", data=None, wrapper=(), env=None, region="local"):
        place.mkdir(parents=True, exist_ok=True)
        self.place, self.upstream, self.tag_ttl, self.wrapper, self.env = place, upstream, tag_ttl, wrapper, env
        self.region = region
        self.data = data or place / "data"
        self.file = place / "harbinger.toml"
        self.port = free_port()
        self.server = None
        self.configure(more)

    def configure(self, more):
        """Another configuration, from the next start on. Where `more` does not say otherwise, nothing is fetched that nobody asks
        for, since what is asked of the origin is counted."""
        prefetch = "" if "[prefetch]" in more else "[prefetch]\nenabled = false\n"
        self.file.write_text(
            f"""[server]
listen = "127.0.0.1:{self.port}"
region = "{self.region}"
[cache]
tag_ttl = "{self.tag_ttl}"
[logging]
level = "info"
access = "off"
[storage]
data = "{self.data}"
{prefetch}[[upstream]]
name = "{UPSTREAM}"
url = "{self.upstream}"
breaker_pause = "200ms"
allow_private_addresses = true
{more}"""
        )

    def start(self):
        command = [*self.wrapper, lab.harbinger(), "serve", "--config", self.file]
        self.server = Process("harbinger", command, self.port, self.place / "log", env=self.env)
        self.server.wait_open()
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.server:
            self.server.stop()

    def kill(self):
        """SIGKILL, to all its processes when there is a wrapper around it."""
        for pid in reversed(self.server.pids()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.server.child.wait()

    def alive(self):
        return self.server.alive()

    @property
    def url(self):
        return self.server.url

    def get(self, path, method="GET", **headers):
        """An answer; header names are written with `_` for `-`."""
        spelled = {name.replace("_", "-"): value for name, value in headers.items()}
        return fetch(self.url + path, {"Accept": content.ACCEPT, **spelled}, method)

    def metric(self, name, **labels):
        """Sum of the samples of a metric that have these labels; None when there is none."""
        text = self.get("/metrics").body.decode()
        samples = re.findall(rf"^{re.escape(name)}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
        fit = [float(value) for said, value in samples if all(f'{label}="{word}"' in said for label, word in labels.items())]
        return sum(fit) if fit else None

    def panics(self):
        """What no server may ever write."""
        text = (self.place / "log").read_text(errors="replace")
        return re.findall(r"^.*panicked at.*$", text, re.MULTILINE)


def hit(answer):
    """Whether it came from the cache, by its own word."""
    return "; hit" in (answer.headers.get("Cache-Status") or "")


def until(true, seconds, step=0.1):
    """Waits until something is true. Gives how long that took, or None when it did not come to that."""
    begun = time.monotonic()
    while True:
        if true():
            return time.monotonic() - begun
        if time.monotonic() - begun > seconds:
            return None
        time.sleep(step)
