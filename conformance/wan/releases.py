"""The applications of two customers, as they are built and released: what the origin holds, day after day."""

import random

from rig import content
from rig.push import Pusher

SIZES = [4_000, 20_000, 20_000, 100_000, 400_000, 1_500_000]
BASE, OWN = 4, 6
"""Layers of a base image, and of what an application adds."""

APPS = {
    "acme": {"api": "wide", "web": "wide", "worker": "slim"},
    "globex": {"shop": "wide", "search": "slim"},
}
"""Of each customer, and the base image of each."""


class Releases:
    """Everything is drawn from one seed. `named` are the digests that a tag has named, by repository and tag,
    the last one last."""

    def __init__(self, network, registry, seed=7):
        self.network, self.registry, self.draw = network, registry, random.Random(seed)
        self.made = 0
        self.bases = {name: self._layers(BASE) for name in ("wide", "slim")}
        self.own = {self.name(customer, app): self._layers(OWN) for customer, apps in APPS.items() for app in apps}
        self.versions = dict.fromkeys(self.own, 0)
        self.named = {}

    @staticmethod
    def name(customer, app):
        return f"{customer}/{app}"

    def change(self, repository):
        """A new version: of its layers the last one, two or three are others."""
        count = self.draw.choice([1, 1, 2, 3])
        self.own[repository][-count:] = self._layers(count)

    def move_base(self, base):
        """A new base image. Gives the repositories that are built on it."""
        self.bases[base] = self._layers(BASE)
        return [self.name(customer, app) for customer, apps in APPS.items() for app, under in apps.items() if under == base]

    def build(self, repository):
        """Pushes what the application is now, as its next version."""
        self.versions[repository] += 1
        customer, app = repository.split("/")
        layers = [*self.bases[APPS[customer][app]], *self.own[repository]]
        config = content.config(author=repository, created=str(self.versions[repository]))
        manifest = content.image(layers, config)
        with self.network.at_the_origin():
            to = Pusher(self.registry.url, repository)
            for data in [config, *layers]:
                to.blob(data)
            to.manifest(manifest, content.MANIFEST, f"1.{self.versions[repository]}.0")
        return manifest

    def tag(self, repository, tag, manifest):
        """The tag names this from now on."""
        with self.network.at_the_origin():
            digest = Pusher(self.registry.url, repository).manifest(manifest, content.MANIFEST, tag)
        self.named.setdefault((repository, tag), []).append(digest)

    def _layers(self, count):
        self.made += count
        return [content.noise(self.draw.choice(SIZES), f"layer {self.made - number}") for number in range(count)]
