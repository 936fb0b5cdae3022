"""A registry that others wrote, to stand behind the mirrors."""

from . import lab
from .process import Process, free_port


def debian(place, address="127.0.0.1"):
    """Debian's docker-registry, with its access log, listening on `address`."""
    lab.debian(docker_registry="docker-registry")
    port = free_port()
    file = place / "registry.yml"
    file.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: false}}\n"
        f"storage:\n  filesystem: {{rootdirectory: {place / 'registry'}, maxthreads: 100}}\nhttp: {{addr: '{address}:{port}'}}\n"
    )
    return Process("docker-registry", ["docker-registry", "serve", file], port, place / "registry.log")
