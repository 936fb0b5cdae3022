"""The network of a run: the origin in a place of its own, and a wide area network from each region to it."""

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rig import lab, network

HERE = Path(__file__).resolve().parent
QUEUE_KB = 4000


@dataclass
class Link:
    """The way of one region to the origin: half the round trip each way."""

    name: str
    origin: str
    """The origin's address, as this region sees it."""

    def received(self):
        """Bytes that have come from the origin, with all that the protocols add."""
        return network.received(self.name)


class Network:
    """Begins with nothing but a loopback. Ends with its block; not even a killed run leaves anything behind."""

    def __init__(self):
        # Known before anything is started.
        os.close(network.tun())
        self.relay = relay()
        network.isolate()
        self.far = network.Namespace()
        self.children, self.links = [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            child.kill()
            child.wait()

    @contextmanager
    def at_the_origin(self):
        """Where the origin is, and who fills it."""
        with self.far:
            yield

    def link(self, name, round_trip_ms, mbit):
        """Another way to the origin."""
        self.links += 1
        subnet = f"10.77.{self.links}"
        near = network.device(name, f"{subnet}.1/24")
        with self.far:
            far = network.device(name, f"{subnet}.2/24")
        words = [self.relay, near, far, round_trip_ms / 2, mbit, QUEUE_KB]
        self.children.append(subprocess.Popen([str(word) for word in words], pass_fds=[near, far], stdin=subprocess.DEVNULL))
        os.close(near)
        os.close(far)
        return Link(name, f"{subnet}.2")


def relay():
    """The program that is the network between two devices, compiled when it has changed."""
    lab.debian(cc="gcc", ip="iproute2")
    source, program = HERE / "relay.c", lab.folder("wan") / "relay"
    if not program.is_file() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-o", str(program), str(source)], check=True)
    return program
