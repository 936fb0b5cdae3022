"""The mirrors that can be put in front of a registry: Harbinger and its peers, each set up as its users set it up, tuned."""

from dataclasses import dataclass


@dataclass
class Setting:
    """What a mirror is started for."""

    origin: str
    """URL of the registry behind it, `http://127.0.0.1:PORT`, known to clients as docker.io."""
    second: str | None = None
    """URL of a second registry, known to clients as second.test."""
    credentials: tuple[str, str] | None = None
    """User and password for `origin`."""
    fresh_seconds: int = 60
    """How long a tag or a tag list is believed."""


def by_name(name):
    """The module of one mirror: `start(place, setting)` gives a process that is starting."""
    from . import distribution, harbinger, nginx, varnish

    known = {module.NAME: module for module in (harbinger, nginx, distribution, varnish)}
    return known[name]


NAMES = ["harbinger", "nginx", "distribution", "varnish"]
