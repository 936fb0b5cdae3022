"""A week of releases in accelerated time, in two regions, lived twice at once: by edges that fetch ahead, and by edges that do not."""

import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException

from node import Node
from releases import APPS, Releases
from rig.edge import Edge, until
from rig.expectation import Missed, expect

DAYS = 7
REGIONS = {"dal": (40, 200), "lon": (120, 100)}
"""Milliseconds to the origin and back, and megabits per second."""
WITH, WITHOUT = "ahead", "plain"
KEYS = {WITH: "", WITHOUT: "enabled = false\n"}
SHARE, FLOOR = 0.15, 4_000_000
"""What may be fetched ahead in vain: of what clients were sent, and in any case."""

HOMES = {
    "acme": {"dal": ["ci", "node-1", "node-2"], "lon": ["node-3", "node-4"]},
    "globex": {"dal": ["ci", "node-1"], "lon": []},
}
"""The nodes of each customer at the beginning. Who is called `ci` pulls what is being tested, the others what is in production."""
JOINING = [(3.0, "globex", "lon", "node-2"), (4.0, "acme", "lon", "node-5"), (4.5, "acme", "dal", "node-6")]
"""Nodes that come to life, and when: they pull whatever their customer runs."""
BASES_MOVE = [(2.6, "wide"), (5.6, "slim")]

TESTED, PROMOTED, HERE, THERE, NEXT = 0.04, 0.12, 0.17, 0.40, 0.05
"""Days from a release to its pull for the tests, to its promotion, to its first pulls in one and in the other region, and from
node to node."""


@dataclass
class Life:
    """What one edge has lived through."""

    edge: Edge
    link: object
    first: list[float] = field(default_factory=list)
    """Seconds of pulls of images that had not been pulled in the region before."""
    later: list[float] = field(default_factory=list)
    sent: int = 0
    pulled: set[str] = field(default_factory=set)
    nodes: dict[str, Node] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def node(self, pulling):
        """Who pulls. Every node has an address of its own, of loopback."""
        name = f"{pulling.customer} {pulling.node}"
        if name not in self.nodes:
            self.nodes[name] = Node(self.edge.url, f"127.1.1.{len(self.nodes) + 1}", pulling.customer)
        return self.nodes[name]

    def fetched(self, *outcomes):
        """Bytes that were fetched ahead, and of which this has become."""
        return sum(self.edge.metric("harbinger_prefetch_bytes_total", outcome=outcome) or 0 for outcome in outcomes)

    def unused(self):
        """Bytes that were fetched ahead and that nobody has asked for by now."""
        return self.fetched("wasted") + (self.edge.metric("harbinger_prefetch_unasked_bytes") or 0)


@dataclass
class Row:
    """One edge, at the end of the week."""

    first: list[float]
    later: list[float]
    sent: int
    received: int
    ahead: float
    used: float
    unused: float
    wrong: list[str]

    @property
    def precision(self):
        return self.used / (self.used + self.unused) if self.used + self.unused else None


def live(network, registry, place, pace):
    """The week, `pace` seconds a day. Gives the row of each way of life and region."""
    releases = Releases(network, registry)
    lives = {(way, region): settle(network, registry, place, way, region) for way in KEYS for region in REGIONS}
    try:
        with ThreadPoolExecutor(32) as hands:
            pass_by(schedule(releases), pace, lives, releases, hands)
        return {key: closing(life) for key, life in lives.items()}
    finally:
        for life in lives.values():
            life.edge.stop()


def settle(network, registry, place, way, region):
    """An edge with a way of its own to the origin, and its nodes."""
    link = network.link(f"{region}-{way}", *REGIONS[region])
    keys = f'[prefetch]\n{KEYS[way]}share = {SHARE}\nfloor = "{FLOOR}B"\n'
    edge = Edge(place / f"{way}-{region}", f"http://{link.origin}:{registry.port}", keys, tag_ttl="50ms", region=region)
    return Life(edge.start(), link)


def schedule(releases):
    """What happens, and when, in days: pairs of a time and a `Pulling`, or a function that changes the origin."""
    draw, happens = random.Random(11), []

    def release(at, repository, change):
        customer = repository.split("/")[0]
        image = {}

        def build():
            if change:
                releases.change(repository)
            image["built"] = releases.build(repository)
            releases.tag(repository, "integration", image["built"])

        happens.append((at, build))
        happens.append((at + TESTED, Pulling("dal", customer, "ci", repository, "integration")))
        happens.append((at + PROMOTED, lambda: releases.tag(repository, "production", image["built"])))
        for region, lag in (("dal", HERE), ("lon", THERE)):
            for number, node in enumerate(name for name in HOMES[customer][region] if name != "ci"):
                happens.append((at + lag + number * NEXT, Pulling(region, customer, node, repository, "production")))
        for joined, whose, region, node in JOINING:
            if whose == customer and at + THERE > joined:
                happens.append((at + THERE, Pulling(region, customer, node, repository, "production")))

    repositories = [Releases.name(customer, app) for customer, apps in APPS.items() for app in apps]
    for number, repository in enumerate(repositories):
        release(number * 0.05, repository, False)
    for day in range(1, DAYS):
        for repository in repositories:
            if draw.random() < 0.6:
                release(day + draw.uniform(0, 0.5), repository, True)
    for at, base in BASES_MOVE:
        built_on = [repository for repository in repositories if APPS[repository.split("/")[0]][repository.split("/")[1]] == base]
        happens.append((at, lambda base=base: releases.move_base(base)))
        for number, repository in enumerate(built_on):
            release(at + 0.02 + number * 0.04, repository, False)
    for at, customer, region, node in JOINING:
        for number, app in enumerate(APPS[customer]):
            happens.append((at + number * NEXT, Pulling(region, customer, node, Releases.name(customer, app), "production")))
    return sorted(happens, key=lambda happening: happening[0])


@dataclass
class Pulling:
    """A node of every way of life pulls."""

    region: str
    customer: str
    node: str
    repository: str
    tag: str


def pass_by(happens, pace, lives, releases, hands):
    """Lets the time pass. What is released is awaited, pulls are not."""
    begun, under_way = time.monotonic(), []
    for at, what in happens:
        time.sleep(max(0, begun + at * pace - time.monotonic()))
        if not isinstance(what, Pulling):
            what()
            continue
        named = releases.named[what.repository, what.tag]
        for life in (life for (_, region), life in lives.items() if region == what.region):
            seconds = life.later if named[-1] in life.pulled else life.first
            life.pulled.add(named[-1])
            under_way.append(hands.submit(pull, life, life.node(what), what, named, seconds))
    for each in under_way:
        each.result()


def pull(life, node, what, named, seconds):
    try:
        done = node.pull(what.repository, what.tag)
        expect(done.digest in named, f"{what.repository}:{what.tag} never named {done.digest}")
        seconds.append(done.seconds)
        life.sent += done.bytes
    except (Missed, OSError, HTTPException) as error:
        life.wrong.append(f"{what.customer} {what.node}: {error}")


def closing(life):
    """The end of the week, once nothing is under way any more."""
    until(lambda: not life.edge.metric("harbinger_prefetch_under_way"), 10)
    ahead, used, unused = life.fetched("fetched"), life.fetched("used", "late"), life.unused()
    return Row(life.first, life.later, life.sent, life.link.received(), ahead, used, unused, life.wrong + life.edge.panics())


def table(rows):
    lines = [f"## A week of releases: {', '.join(f'{name} {ms} ms and {mbit} Mbit/s away' for name, (ms, mbit) in REGIONS.items())}", ""]
    lines += ["| region | prefetch | first pulls | mean s | median s | slowest s | other pulls | mean s | MB to clients | MB from the origin |"]
    lines += ["|---|---|---|---|---|---|---|---|---|---|"]
    for (way, region), row in sorted(rows.items(), key=lambda item: item[0][1]):
        first = f"{len(row.first)} | {mean(row.first):.3f} | {statistics.median(row.first or [0]):.3f} | {max(row.first, default=0):.3f}"
        other = f"{len(row.later)} | {mean(row.later):.3f}"
        lines += [f"| {region} | {'on' if way == WITH else 'off'} | {first} | {other} | {row.sent / 1e6:.1f} | {row.received / 1e6:.1f} |"]
    lines += ["", "| region | MB fetched ahead | asked for | not asked for | precision | budget of the latter |", "|---|---|---|---|---|---|"]
    for region in REGIONS:
        row = rows[WITH, region]
        precision = "–" if row.precision is None else f"{row.precision:.2f}"
        amounts = " | ".join(f"{amount / 1e6:.2f}" for amount in (row.ahead, row.used, row.unused))
        lines += [f"| {region} | {amounts} | {precision} | {budget(row) / 1e6:.2f} |"]
    return [*lines, ""]


def outcomes(rows):
    """What was asked of the week, and None or what came instead."""
    found = {}
    for (way, region), row in rows.items():
        found[f"week, {region}, {way}: every byte right"] = f"{len(row.wrong)} pulls: {row.wrong[0]}" if row.wrong else None
    for region in REGIONS:
        ahead = rows[WITH, region]
        found[f"week, {region}: something was fetched ahead"] = None if ahead.used else "nothing that was asked for"
        wasteful = ahead.unused > budget(ahead)
        found[f"week, {region}: what nobody asked for is within the budget"] = wasteful and f"{ahead.unused:.0f} bytes of {budget(ahead):.0f}"
    return found


def budget(row):
    return FLOOR + SHARE * row.sent


def mean(seconds):
    return statistics.mean(seconds) if seconds else 0.0
