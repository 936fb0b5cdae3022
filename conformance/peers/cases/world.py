"""The scene of one case: scripted registries, one mirror in front of them, and the words to ask it with."""

from rig import content
from rig.client import fetch
from rig.expectation import Missed, expect, expect_bytes
from rig.mirrors import Setting, by_name
from rig.origin import Origin, Resource
from rig.process import free_port

__all__ = ["MB", "REPOSITORY", "Missed", "World", "expect", "expect_bytes"]

REPOSITORY = "library/demo"
MB = 1 << 20


class World:
    """`origin` is docker.io to the clients; the mirror is started by `open`, so that a case can prepare or spoil things first."""

    def __init__(self, mirror, place):
        self.name, self.place = mirror, place
        self.origin = Origin(port=free_port())
        self.others, self.server = [], None

    def __enter__(self):
        self.origin.start()
        return self

    def __exit__(self, *_):
        if self.server:
            self.server.stop()
        for origin in [self.origin, *self.others]:
            for resource in origin.resources.values():
                if resource.gate:
                    resource.gate.set()
            origin.stop()

    def another(self, **settings):
        origin = Origin(**settings).start()
        self.others.append(origin)
        return origin

    def open(self, **settings):
        """Starts the mirror; whoever cannot start misses the case."""
        setting = Setting(origin=self.origin.url, fresh_seconds=1, **settings)
        self.server = by_name(self.name).start(self.place, setting)
        try:
            self.server.wait_open()
        except RuntimeError as error:
            raise Missed(f"does not start: {error}"[:200]) from error
        return self

    def blob(self, size=8 * MB, seed=1, **faults):
        """Puts a blob upstream and gives its bytes and its path."""
        data = content.noise(size, seed)
        path = f"/v2/{REPOSITORY}/blobs/{content.digest(data)}"
        self.origin.resources[path] = Resource(data, digest=content.digest(data), **faults)
        return data, path

    def manifest(self, tag="v1", origin=None, seed=1):
        """Puts an image manifest upstream, by tag and by digest, and gives its bytes and both paths."""
        data = content.image([content.noise(100, seed)], content.config())
        digest = content.digest(data)
        paths = [f"/v2/{REPOSITORY}/manifests/{reference}" for reference in (tag, digest)]
        for path in paths:
            (origin or self.origin).resources[path] = Resource(data, content.MANIFEST, digest)
        return data, *paths

    def tags(self, names):
        path = f"/v2/{REPOSITORY}/tags/list"
        self.origin.resources[path] = Resource(content.encode({"name": REPOSITORY, "tags": names}), "application/json")
        return path

    def get(self, path, **headers):
        """GET of a path at the mirror; header names are written with `_` for `-`."""
        return fetch(self.server.url + path, {"Accept": content.ACCEPT, **spelled(headers)})

    def head(self, path):
        return fetch(self.server.url + path, {"Accept": content.ACCEPT}, "HEAD")


def spelled(headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}
