"""The scene of the speed runs: one real registry that counts, filled, and every mirror warm in front of it."""

import re
from pathlib import Path

from rig import content, lab, registry
from rig.mirrors import Setting, by_name
from rig.push import Pusher

REPOSITORY = "library/bench"
SIZES = {"10 KB": 10_000, "1 MB": 1_000_000, "100 MB": 100_000_000}


class Stage:
    """`paths` are what the speed runs ask for, by name; `herds` are blobs that no mirror holds yet, one a round."""

    def __init__(self, mirrors, rounds):
        place = lab.folder("peers", "stage", fresh=True)
        self.registry = registry.debian(place)
        self.servers = {}
        try:
            self.registry.wait_open()
            self.paths, self.herds = fill(self.registry.url, rounds)
            for name in mirrors:
                home = lab.folder("peers", "stage", name)
                server = self.servers[name] = by_name(name).start(home, Setting(origin=self.registry.url))
                server.wait_open()
        except BaseException:
            self.close()
            raise

    def close(self):
        for server in [*self.servers.values(), self.registry]:
            server.stop()

    def upstream_gets(self, path):
        """How often the registry has answered GET of this path so far, by its access log."""
        log = Path(self.registry.log).read_text(errors="replace")
        return len(re.findall(rf'"GET {re.escape(path)}[ ?]', log))


def fill(url, rounds):
    to = Pusher(url, REPOSITORY)
    layers = {name: content.noise(size, seed=size) for name, size in SIZES.items()}
    config = content.config()
    blobs = {name: to.blob(data) for name, data in layers.items()}
    to.blob(config)
    digest = to.manifest(content.image(list(layers.values()), config), content.MANIFEST, "v1")
    herds = [to.blob(content.noise(SIZES["100 MB"], seed=1000 + number)) for number in range(rounds)]

    def at(kind, name):
        return f"/v2/{REPOSITORY}/{kind}/{name}"

    paths = {"manifest by tag": at("manifests", "v1"), "manifest by digest": at("manifests", digest)}
    paths |= {f"blob {name}": at("blobs", blob) for name, blob in blobs.items()}
    return paths, [at("blobs", blob) for blob in herds]
