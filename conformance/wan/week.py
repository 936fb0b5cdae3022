"""A working week of releases in accelerated time, in two regions, lived twice at once: by edges that fetch ahead, look whether tags have
moved and tell each other what happens, and by edges that do none of this."""

import json
import math
import random
import statistics
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException

from node import Asked, Node
from releases import APPS, Releases
from rig.edge import Edge, until
from rig.expectation import Missed, expect

DAYS = 5
REGIONS = {"dal": (40, 200), "lon": (120, 100)}
"""Milliseconds to the origin and back, and megabits per second."""
WITH, WITHOUT = "ahead", "plain"
SHARE, FLOOR = 0.15, 12_000_000
"""What may be fetched ahead, apart from the rest of images that are being pulled: of what clients were sent, and in any case. It is
the budget of a day, and all of the week passes within one."""
SECRET = "what edges of one operator know"

TOLD = ["moved", "elsewhere", "co_pull"]
"""Why something is fetched ahead, besides `pull`: a client is pulling its image already."""
HERE_BEFORE, UNLINKED = "here before the pull", "here, but not for this repository"
COMING, RUSHED, FAR = "on its way before the pull", "fetched because of it", "at the origin"
PLACES = [HERE_BEFORE, UNLINKED, COMING, RUSHED, FAR]
"""Where a content can be when it is asked for."""

HOMES = {
    "acme": {"dal": ["ci", "node-1", "node-2"], "lon": ["node-3", "node-4"]},
    "globex": {"dal": ["ci", "node-1"], "lon": []},
}
"""The nodes of each customer at the beginning. Who is called `ci` pulls what is being tested, the others what is in production."""
JOINING = [(2.0, "globex", "lon", "node-2"), (3.0, "acme", "lon", "node-5"), (3.5, "acme", "dal", "node-6")]
"""Nodes that come to life, and when: they pull whatever their customer runs."""
BASES_MOVE = [(1.6, "wide"), (3.6, "slim")]
RELEASED, FAILING = 0.7, 0.2
"""How likely an application is built on a day, and how likely a build fails its tests: it is never in production."""

TESTED, PROMOTED, HERE, THERE, NEXT = 0.04, 0.12, 0.17, 0.60, 0.05
"""Days from a build to its pull for the tests, to its promotion, to its first pulls in one and in the other region, and from
node to node."""


@dataclass
class Life:
    """What one edge has lived through."""

    edge: Edge
    link: object
    cold: list[float] = field(default_factory=list)
    """Seconds of pulls of an image of which no version had been pulled in the region before."""
    first: list[float] = field(default_factory=list)
    """Of the first pulls in the region of a new version."""
    later: list[float] = field(default_factory=list)
    sent: int = 0
    found: list = field(default_factory=list)
    """What was asked for of new versions, each content when nobody had asked for it before."""
    pulled: dict[str, list] = field(default_factory=dict)
    """To which of the lists the first pull of a version belongs, by its digest; and all repositories."""
    nodes: dict[str, Node] = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)
    wrong: list[str] = field(default_factory=list)

    def node(self, pulling):
        """Who pulls. Every node has an address of its own, of loopback."""
        name = f"{pulling.customer} {pulling.node}"
        if name not in self.nodes:
            self.nodes[name] = Node(self.edge.url, f"127.1.1.{len(self.nodes) + 1}", pulling.customer, asked=self.asked)
        return self.nodes[name]

    def seconds_of(self, repository, version):
        """The list that a pull belongs to. From now on it has been pulled."""
        if version in self.pulled:
            return self.later
        self.pulled[version] = self.first if repository in self.pulled else self.cold
        self.pulled.setdefault(repository, self.cold)
        return self.pulled[version]

    def fetched(self, *outcomes, **labels):
        """Bytes that were fetched ahead, and of which this has become."""
        return sum(self.edge.metric("harbinger_prefetch_bytes_total", outcome=outcome, **labels) or 0 for outcome in outcomes)

    def unused(self):
        """Bytes that were fetched ahead and that nobody has asked for by now."""
        return self.fetched("wasted") + (self.edge.metric("harbinger_prefetch_unasked_bytes") or 0)

    def decisions(self):
        """When, why and how long each content was fetched ahead."""
        operator = json.loads((self.edge.data / "admin.json").read_text())
        answer = self.edge.get("/api/v1/predictions?limit=10000", Authorization=f"Bearer {operator['token']}")
        decisions = json.loads(answer.body)["decisions"]
        return {each["digest"]: each for each in decisions if each["verdict"]["decided"] == "fetched"}


@dataclass
class Row:
    """One edge, at the end of the week."""

    cold: list[float]
    first: list[float]
    later: list[float]
    sent: int
    received: int
    ahead: dict[str, tuple[float, float]]
    """By reason: bytes that were fetched ahead, and those that were asked for."""
    unused: float
    found: dict[str, list[int]]
    """Bytes of each content of new versions, by where it was when it was asked for in the region for the first time."""
    questions: float
    wrong: list[str]

    @property
    def used(self):
        return sum(used for _, used in self.ahead.values())


def live(network, registry, place, pace):
    """The week, `pace` seconds a day. Gives the row of each way of life and region."""
    releases = Releases(network, registry)
    lives = settle(network, registry, place)
    try:
        with ThreadPoolExecutor(32) as hands:
            pass_by(schedule(releases), pace, lives, releases, hands)
        return {key: closing(life) for key, life in lives.items()}
    finally:
        for life in lives.values():
            life.edge.stop()


def settle(network, registry, place):
    """The edges, each with a way of its own to the origin."""
    lives = {}
    for way in (WITH, WITHOUT):
        for region, (round_trip_ms, mbit) in REGIONS.items():
            link = network.link(f"{region}-{way}", round_trip_ms, mbit)
            edge = Edge(place / f"{way}-{region}", f"http://{link.origin}:{registry.port}", tag_ttl="50ms", region=region)
            lives[way, region] = Life(edge, link)
    for (way, region), life in lives.items():
        others = [other.edge for (same, elsewhere), other in lives.items() if same == way and elsewhere != region]
        life.edge.configure(keys(way, others))
        life.edge.start()
    return lives


def keys(way, others):
    """What of its configuration makes a way of life. Images are customers' own, in either."""
    shared = 'mode = "shared"\n'
    if way == WITHOUT:
        return f"{shared}[prefetch]\nenabled = false\n[watch]\nenabled = false\n"
    prefetch = f'[prefetch]\nshare = {SHARE}\nfloor = "{FLOOR}B"\n'
    watch = "[watch]\nrequests_per_minute = 600\nrequests_per_minute_each = 600\n"
    listen = f'[notifications]\nsecret = "{SECRET}"\n'
    tell = "".join(
        f'[[notify]]\nurl = "http://127.0.0.1:{other.port}/api/v1/notifications"\nsecret = "{SECRET}"\n' for other in others
    )
    return shared + prefetch + watch + listen + tell


def schedule(releases):
    """What happens, and when, in days: pairs of a time and a `Pulling`, or a function that changes the origin."""
    draw, happens = random.Random(11), []

    def release(at, repository, change=False, passes=True):
        customer = repository.split("/")[0]
        image = {}

        def build():
            if change:
                releases.change(repository)
            image["built"] = releases.build(repository)
            releases.tag(repository, "integration", image["built"])

        happens.append((at, build))
        happens.append((at + TESTED, Pulling("dal", customer, "ci", repository, "integration")))
        if not passes:
            return
        happens.append((at + PROMOTED, lambda: releases.tag(repository, "production", image["built"])))
        for region, lag in (("dal", HERE), ("lon", THERE)):
            for number, node in enumerate(name for name in HOMES[customer][region] if name != "ci"):
                happens.append((at + lag + number * NEXT, Pulling(region, customer, node, repository, "production")))
        for joined, whose, region, node in JOINING:
            if whose == customer and at + THERE > joined:
                happens.append((at + THERE, Pulling(region, customer, node, repository, "production")))

    repositories = [Releases.name(customer, app) for customer, apps in APPS.items() for app in apps]
    for number, repository in enumerate(repositories):
        release(number * 0.05, repository)
    for day in range(1, DAYS):
        for repository in repositories:
            if draw.random() < RELEASED:
                release(day + draw.uniform(0, 0.5), repository, change=True, passes=draw.random() >= FAILING)
    for at, base in BASES_MOVE:
        built_on = [repository for repository in repositories if APPS[repository.split("/")[0]][repository.split("/")[1]] == base]
        happens.append((at, lambda base=base: releases.move_base(base)))
        for number, repository in enumerate(built_on):
            release(at + 0.02 + number * 0.04, repository)
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
    """Lets the time pass. It stands still while something is built; pulls are not awaited."""
    begun, under_way = time.monotonic(), []
    for at, what in happens:
        time.sleep(max(0, begun + at * pace - time.monotonic()))
        if not isinstance(what, Pulling):
            started = time.monotonic()
            what()
            begun += time.monotonic() - started
            continue
        named = releases.named[what.repository, what.tag]
        for life in (life for (_, region), life in lives.items() if region == what.region):
            seconds = life.seconds_of(what.repository, named[-1])
            under_way.append(hands.submit(pull, life, life.node(what), what, named, seconds))
    for each in under_way:
        each.result()


def pull(life, node, what, named, seconds):
    try:
        done = node.pull(what.repository, what.tag)
        expect(done.digest in named, f"{what.repository}:{what.tag} never named {done.digest}")
        seconds.append(done.seconds)
        life.sent += done.bytes
        if life.pulled.get(done.digest) is life.first:
            life.found += done.found
    except (Missed, OSError, HTTPException) as error:
        life.wrong.append(f"{what.customer} {what.node}: {error}")


def closing(life):
    """The end of the week, once nothing is under way any more."""
    until(lambda: not life.edge.metric("harbinger_prefetch_under_way"), 10)
    ahead = {why: (life.fetched("fetched", reason=why), life.fetched("used", "late", reason=why)) for why in ["pull", *TOLD]}
    decisions, found = life.decisions(), defaultdict(list)
    for each in life.found:
        found[whereabouts(each, decisions.get(each.digest))].append(each.bytes)
    questions = life.edge.metric("harbinger_watch_answers_total") or 0
    wrong = life.wrong + life.edge.panics()
    return Row(life.cold, life.first, life.later, life.sent, life.link.received(), ahead, life.unused(), found, questions, wrong)


def whereabouts(found, decision):
    """Where a content was, seen from when its pull began. `decision` is the one by which it was fetched ahead, if it was."""
    if "detail=unlinked" in found.said:
        return UNLINKED
    if decision is None or not any(word in found.said for word in ("; hit", "; collapsed")):
        return FAR
    begun, since = decision["at"], found.since * 1000
    if decision["reason"] not in TOLD or begun > since:
        return RUSHED
    return HERE_BEFORE if begun + decision["milliseconds"] <= since else COMING


def table(rows):
    distances = ", ".join(f"{name} {ms} ms and {mbit} Mbit/s away" for name, (ms, mbit) in REGIONS.items())
    each = [(region, way, rows[way, region]) for region in REGIONS for way in (WITHOUT, WITH)]
    lines = [f"## A week of releases: {distances}", "", "Pulls, in seconds, with fetching ahead and without:", ""]
    lines += ["| region | ahead | new versions | median | p95 | new images | median | other pulls | mean | MB to clients | MB from the origin |"]
    lines += ["|---|---|---|---|---|---|---|---|---|---|---|"]
    for region, way, row in each:
        first = f"{len(row.first)} | {middle(row.first):.3f} | {percentile(row.first, 0.95):.3f}"
        rest = f"{len(row.cold)} | {middle(row.cold):.3f} | {len(row.later)} | {statistics.fmean(row.later or [0]):.3f}"
        lines += [f"| {region} | {on(way)} | {first} | {rest} | {row.sent / 1e6:.1f} | {row.received / 1e6:.1f} |"]
    lines += ["", "Where layers of new versions were when a region asked for them for the first time, by bytes (by number):", ""]
    lines += [f"| region | ahead | layers | MB | {' | '.join(PLACES)} |", f"|---|---|---|---|{'---|' * len(PLACES)}"]
    for region, way, row in each:
        count, total = sum(map(len, row.found.values())), sum(map(sum, row.found.values()))
        shares = " | ".join(share(row, place) for place in PLACES)
        lines += [f"| {region} | {on(way)} | {count} | {total / 1e6:.1f} | {shares} |"]
    lines += ["", "What was fetched ahead, in MB, by why:", "", "| region | why | fetched | asked for | precision |", "|---|---|---|---|---|"]
    for region in REGIONS:
        row = rows[WITH, region]
        for why, (fetched, used) in ((why, bytes) for why, bytes in row.ahead.items() if bytes[0]):
            lines += [f"| {region} | {why} | {fetched / 1e6:.2f} | {used / 1e6:.2f} | {precision(fetched, used)} |"]
        fetched = sum(fetched for fetched, _ in row.ahead.values())
        lines += [f"| {region} | all | {fetched / 1e6:.2f} | {row.used / 1e6:.2f} | {precision(fetched, row.used)} |"]
    questions = ", ".join(f"{rows[WITH, region].questions:.0f} in {region}" for region in REGIONS)
    return [*lines, "", f"Questions whether a tag had moved, because of hints or of `[watch]`: {questions}.", ""]


def outcomes(rows):
    """What was asked of the week, and None or what came instead."""
    found = {}
    for (way, region), row in rows.items():
        found[f"week, {region}, {way}: every byte right"] = f"{len(row.wrong)} pulls: {row.wrong[0]}" if row.wrong else None
    for region in REGIONS:
        ahead = rows[WITH, region]
        found[f"week, {region}: something was fetched ahead"] = None if ahead.used else "nothing that was asked for"
        waste = f"{ahead.unused:.0f} bytes were not, {ahead.used:.0f} were"
        found[f"week, {region}: most of it was asked for"] = waste if ahead.unused > ahead.used else None
        excess = f"{ahead.unused:.0f} bytes of {budget(ahead):.0f}"
        found[f"week, {region}: what nobody asked for is within the budget"] = excess if ahead.unused > budget(ahead) else None
    lon = rows[WITH, "lon"]
    told = any(lon.ahead[why][1] for why in TOLD)
    found["week, lon: something was fetched ahead that nobody was pulling there yet"] = None if told else "nothing that was asked for"
    found["week, lon: pulls of new versions found layers here"] = None if lon.found[HERE_BEFORE] else "none"
    return found


def budget(row):
    return max(FLOOR, SHARE * row.sent)


def share(row, place):
    """Of all bytes, and of all layers."""
    layers, fit = [size for found in row.found.values() for size in found], row.found[place]
    return f"{sum(fit) / sum(layers):.0%} ({len(fit) / len(layers):.0%})" if layers else "–"


def precision(fetched, used):
    return f"{used / fetched:.2f}" if fetched else "–"


def middle(seconds):
    return statistics.median(seconds or [0])


def percentile(seconds, share):
    ordered = sorted(seconds or [0])
    return ordered[math.ceil(share * len(ordered)) - 1]


def on(way):
    return "yes" if way == WITH else "no"
