"""The scene of one case: a repository of the origin, a folder of the bucket, and edges between them."""

import hashlib
import re
import time
from concurrent.futures import ThreadPoolExecutor

from rig import content, lab
from rig.client import fetch
from rig.edge import Edge, until
from rig.expectation import expect, expect_bytes

import images

PATIENCE = 40
"""Seconds after which what waits for its upload counts as lost."""
QUEUE = "harbinger_object_queue_entries"


class Store:
    """One kind of store that runs, the link to it, and another link to the origin, so that each store has faults of its own."""

    def __init__(self, kind, server, bucket, link, origin):
        self.kind, self.server, self.bucket, self.link, self.origin = kind, server, bucket, link, origin


class Scene:
    def __init__(self, store, name, place):
        self.store, self.name, self.place = store, name, place
        self.link, self.origin, self.bucket = store.link, store.origin, store.bucket
        self.repository = f"conformance/{name.replace('_', '-')}-{store.kind.NAME}"
        self.prefix = name
        self.edges = []

    def __enter__(self):
        for link in (self.link, self.origin):
            link.heal()
        return self

    def __exit__(self, *_):
        # A dead store must not hold up the end of an edge that still has something for it.
        for link in (self.link, self.origin):
            link.heal()
        for edge in self.edges:
            edge.stop()

    def say(self, message):
        lab.say(f"    {self.store.kind.NAME}, {self.name}: {message}")

    def image(self, *sizes, name="image"):
        """A new image in the origin, behind the link to it."""
        return images.push(self.origin.target, f"{self.repository}/{name}", sizes)

    def edge(self, name, object="", more=""):
        """An edge with an empty folder, started. `object` are further keys of the bucket, `more` further sections."""
        # Left alone for a moment only: a case has no minutes.
        bucket = self.store.kind.configuration(self.link, self.prefix) + f'breaker_pause = "500ms"\n{object}'
        edge = Edge(self.place / name, self.origin.url, f"{bucket}\n{more}")
        self.edges.append(edge)
        return edge.start()

    def pull(self, edge, image, at_once=3):
        """As a client does: the tag, the manifest, the blobs. Every byte must be right. Gives the seconds of each request."""
        seconds = []

        def take(path, data):
            begun = time.monotonic()
            answer = edge.get(path)
            seconds.append(time.monotonic() - begun)
            expect_bytes(answer, data)

        take(image.by_tag(), image.index)
        take(image.path("manifests", content.digest(image.manifest)), image.manifest)
        with ThreadPoolExecutor(at_once) as hands:
            for done in [hands.submit(take, image.blob(name), data) for name, data in image.blobs.items()]:
                done.result()
        return seconds

    def pull_through_redirects(self, edge, image):
        """As `pull`, one after the other, by a client that goes where it is sent."""
        expect_bytes(edge.get(image.by_tag()), image.index)
        expect_bytes(edge.get(image.path("manifests", content.digest(image.manifest))), image.manifest)
        for name, data in image.blobs.items():
            answer = edge.get(image.blob(name))
            expect_bytes(fetch(answer.headers["Location"]) if answer.status == 307 else answer, data)

    def arrive(self, edge, image):
        """Waits until nothing waits any more, and holds the bucket against what the image has. Gives the seconds."""
        took = until(lambda: self.queue(edge) == 0 and not self.missing(image), PATIENCE, 0.2)
        if took is None:
            missing = f"{len(self.missing(image))} of {len(image.everything())} contents"
            expect(False, f"after {PATIENCE} s {self.queue(edge):.0f} wait for their upload, and the bucket lacks {missing}")
        for name, data in image.everything().items():
            there = self.bucket.read(self.keys()[name])
            expect(there == data, f"the bucket has other bytes under {name}: {len(there)}, not {len(data)}")
        return took

    def queue(self, edge):
        waiting = edge.metric(QUEUE)
        expect(waiting is not None, f"there is no metric {QUEUE}")
        return waiting

    def missing(self, image):
        return sorted(set(image.everything()) - set(self.keys()))

    def keys(self):
        """Key of each content in the bucket's folder, by digest."""
        named = ((re.search(r"blobs/.*([0-9a-f]{64})$", key), key) for key in self.bucket.keys(self.prefix + "/"))
        return {f"sha256:{match[1]}": key for match, key in named if match}

    def fetched(self, image, name):
        """How often the origin was asked for a blob's bytes."""
        return self.origin.count("GET", image.blob(name))

    def requests(self, methods, name, since=0):
        """How many requests there were at the bucket for a content's bytes."""
        ending = name.partition(":")[2]
        log = self.link.log[since:]
        return sum(seen.method in methods and "blobs" in seen.path and seen.path.endswith(ending) for seen in log)

    def sound(self):
        """Every content in the bucket is what its key says."""
        for name, key in self.keys().items():
            data = self.bucket.read(key)
            expect(name == f"sha256:{hashlib.sha256(data).hexdigest()}", f"wrong bytes in the bucket under {name}")
