"""An image of 100 layers that nobody has pulled yet, by one client, through Harbinger and its peers."""

import statistics
from dataclasses import dataclass, field

from node import Node
from rig import content, mirrors
from rig.edge import Edge
from rig.expectation import Missed, expect
from rig.mirrors import Setting
from rig.push import Pusher

LAYERS, LAYER = 100, 10_000
ROUND_TRIP_MS, MBIT = 40, 200
MANNERS = {"one after the other": 1, "three at once": 3}
WITH, WITHOUT = "harbinger", "harbinger, no prefetch"


@dataclass
class Measured:
    """Seconds of each pull, by mirror and manner."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    """What was not as it must be."""

    def middle(self, mirror, manner):
        taken = self.seconds.get((mirror, manner))
        return statistics.median(taken) if taken else None


def measure(network, registry, place, rounds, peers, more=()):
    """All mirrors take turns over the same way. `more` are further values of `prefetch.pull_parallel`."""
    link = network.link("cold", ROUND_TRIP_MS, MBIT)
    origin = f"http://{link.origin}:{registry.port}"
    edges = {WITH: "", WITHOUT: "enabled = false"} | {f"{WITH}, pull_parallel = {number}": f"pull_parallel = {number}" for number in more}
    starts = {name: lambda name=name, keys=keys: harbinger(place / f"harbinger-{slug(name)}", origin, keys) for name, keys in edges.items()}
    starts |= {name: lambda name=name: peer(place / name, origin, name) for name in peers}
    measured = Measured()
    for number in range(rounds):
        images = {manner: push(network, registry, number, manner) for manner in MANNERS}
        for name, start in starts.items():
            for manner, image in images.items():
                with start() as server:
                    take(measured, registry, name, manner, image, server.url)
    return measured


def take(measured, registry, name, manner, image, url):
    """One pull. Of Harbinger's, no content may leave the origin twice."""
    begun = registry.log.stat().st_size
    try:
        pull = Node(url, "127.0.1.1", "acme", MANNERS[manner]).pull(image.repository, "v1")
        expect(pull.asked == LAYERS + 1, f"{pull.asked} contents were asked for, not {LAYERS + 1}")
        if name.startswith(WITH):
            log = registry.log.read_text(errors="replace")[begun:]
            twice = sum(log.count(f'"GET /v2/{image.repository}/blobs/{blob} ') != 1 for blob in image.blobs)
            expect(twice == 0, f"{twice} of {len(image.blobs)} contents did not leave the origin exactly once")
    except Missed as missed:
        measured.wrong[f"{name}, {manner}"] = str(missed)
        return
    measured.seconds.setdefault((name, manner), []).append(pull.seconds)


@dataclass
class Image:
    repository: str
    blobs: list[str]


def push(network, registry, number, manner):
    """A new image at the origin."""
    repository = f"wan/{slug(manner)}-{number}"
    layers = [content.noise(LAYER, f"{repository} {layer}") for layer in range(LAYERS)]
    config = content.config(author=repository)
    with network.at_the_origin():
        to = Pusher(registry.url, repository)
        blobs = [to.blob(data) for data in [config, *layers]]
        to.manifest(content.image(layers, config), content.MANIFEST, "v1")
    return Image(repository, blobs)


def harbinger(place, origin, keys):
    return Edge(fresh(place), origin, f"[prefetch]\n{keys}\n")


def peer(place, origin, name):
    return mirrors.by_name(name).start(fresh(place), Setting(origin=origin))


def fresh(place):
    """A folder beside those of earlier turns, so that every turn begins cold."""
    number = sum(1 for _ in place.parent.glob(f"{place.name}-*")) + 1
    folder = place.with_name(f"{place.name}-{number}")
    folder.mkdir(parents=True)
    return folder


def slug(name):
    return "".join(letter if letter.isalnum() else "-" for letter in name).replace("--", "-")


def table(measured):
    names = list(dict.fromkeys(name for name, _ in measured.seconds))
    lines = [f"## A cold image of {LAYERS} layers of {LAYER // 1000} KB, one client, {ROUND_TRIP_MS} ms away, {MBIT} Mbit/s", ""]
    lines += [f"| seconds | {' | '.join(MANNERS)} |", f"|---|{'---|' * len(MANNERS)}"]
    for name in names:
        cells = []
        for manner in MANNERS:
            taken, least = measured.middle(name, manner), measured.middle(WITH, manner)
            cells.append(f"{taken:.2f} ({taken / least:.1f}×)" if taken and least else "–")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def outcomes(measured):
    """What was asked of the pulls, and None or what came instead."""
    found = {}
    for manner in MANNERS:
        for name in (WITH, WITHOUT):
            found[f"cold image, {manner}, {name}: every byte right, and from the origin once"] = measured.wrong.get(f"{name}, {manner}")
    return found
