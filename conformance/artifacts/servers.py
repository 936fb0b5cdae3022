"""Harbinger twice: a registry that is pushed to, and a mirror of it."""

from contextlib import contextmanager

from rig import lab
from rig.process import Process, free_port

UPSTREAM = "hosted.test"


@contextmanager
def pair(place):
    """Gives the registry's host and port, and what stands before a name on the way through the mirror."""
    with harbinger(place / "registry", "http://127.0.0.1:9") as registry:
        with harbinger(place / "mirror", registry.url) as mirror:
            yield f"127.0.0.1:{registry.port}", f"127.0.0.1:{mirror.port}/{UPSTREAM}"


@contextmanager
def harbinger(place, upstream):
    place.mkdir(parents=True)
    port = free_port()
    file = place / "harbinger.toml"
    file.write_text(
        f"""[server]
listen = "127.0.0.1:{port}"
[cache]
# What is pushed behind the mirror's back is to be seen at once.
tag_ttl = "0s"
list_ttl = "0s"
negative_ttl = "0s"
[storage]
data = "{place / 'data'}"
[logging]
level = "warn"
[[upstream]]
name = "{UPSTREAM}"
url = "{upstream}"
"""
    )
    server = Process("harbinger", [lab.harbinger(), "serve", "--config", file], port, place / "log")
    try:
        yield server.wait_open()
    finally:
        server.stop()
