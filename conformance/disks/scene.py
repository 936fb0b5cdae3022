"""The scene of a part: a registry whose blobs are known, an edge whose disk fails, and clients that look at every byte."""

import random
from concurrent.futures import ThreadPoolExecutor

from rig import content
from rig.edge import Edge, hit, until
from rig.expectation import Missed, expect
from rig.origin import Origin, Resource
from rig.process import free_port

KIB, MIB = 1 << 10, 1 << 20
REPOSITORY = "conformance/disks"
HEALING = 5
"""Seconds within which blobs must be kept again."""
# Memory would hide what the disk does.
LARGER_THAN_MEMORY_TAKES = 512 * KIB


class Scene:
    """`origin` has every blob that was made here; `edge` is started by whoever has prepared its disk."""

    def __init__(self, place):
        self.place = place
        self.origin = Origin(port=free_port()).start()
        self.made = 0
        self.edges = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for edge in self.edges:
            edge.stop()
        self.origin.stop()

    def edge(self, name="edge", more="", **options):
        edge = Edge(self.place / name, self.origin.url, more, **options)
        self.edges.append(edge)
        return edge

    def blobs(self, count, size):
        """New blobs, by path. `size` is a number, or is asked for one each time."""
        made = {}
        for _ in range(count):
            self.made += 1
            data = content.noise(size() if callable(size) else size, f"{self.place.name}/{self.made}")
            path = f"/v2/{REPOSITORY}/blobs/{content.digest(data)}"
            made[path] = data
            self.origin.resources[path] = Resource(data, digest=content.digest(data))
        return made

    def herd(self, edge, blobs, clients, times=1):
        """Clients that ask for all blobs, each in an order of its own, until every blob was taken `times`. All answers must be
        whole and right at the first try. Gives how many were hits."""
        asked = [path for path in blobs for _ in range(times)]
        random.Random(len(asked)).shuffle(asked)

        def take(path):
            try:
                answer = edge.get(path)
            except OSError as error:
                return f"no answer ({error})", False
            return fault(answer, blobs[path]), hit(answer)

        with ThreadPoolExecutor(clients) as hands:
            seen = list(hands.map(take, asked))
        wrong = [what for what, _ in seen if what]
        expect(not wrong, f"{len(wrong)} of {len(seen)} pulls went wrong, the first: {wrong[:1]}")
        return sum(was_hit for _, was_hit in seen)

    def patient(self, edge, blobs, clients, retries=1):
        """Clients that ask again when an answer failed or broke off. What is complete must be right at every try. Gives how many
        had to ask again."""

        def take(path):
            for tries in range(retries + 1):
                answer = edge.get(path)
                wrong = fault(answer, blobs[path])
                if not wrong:
                    return tries > 0
                expect(answer.status >= 500 or not answer.complete, wrong)
            raise Missed(f"after {retries + 1} tries: {wrong}")

        with ThreadPoolExecutor(clients) as hands:
            return sum(hands.map(take, blobs))

    def kept_again(self, edge, folder=None):
        """Waits until a new blob is a hit, from its file. Gives the seconds; misses the case when it takes too many."""
        ((path, data),) = self.blobs(1, LARGER_THAN_MEMORY_TAKES).items()

        def kept():
            answer = edge.get(path)
            expect(not fault(answer, data), f"while it heals, a pull went wrong: {fault(answer, data)}")
            return hit(answer) and file(folder or edge.data, path).is_file()

        took = until(kept, HEALING, 0.2)
        expect(took is not None, f"blobs are not kept again within {HEALING} s")
        return took

    def healthy(self, edge):
        """It is the server that was started, and nothing in it has panicked."""
        expect(edge.alive(), f"the server ended: {edge.server.tail()[-300:]}")
        expect(not edge.panics(), f"{edge.panics()[:1]}")


def fault(answer, data):
    """What is wrong with an answer, or None."""
    if answer.status != 200:
        return f"answered {answer.status}: {answer.body[:120]!r}"
    if not answer.complete:
        return f"broke off after {len(answer.body)} of {len(data)} bytes"
    return None if answer.body == data else f"{len(answer.body)} wrong bytes, complete"


def file(data, path):
    """Where a blob lies in a tier's folder."""
    algorithm, _, name = path.rpartition("/")[2].partition(":")
    return data / "blobs" / algorithm / name[:2] / name
