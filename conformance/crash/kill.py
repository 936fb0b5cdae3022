"""kill -9, round after round, on one data folder."""

import random
import shutil
import subprocess
import time

import audit
import folder
from pool import Pool
from rig import lab
from stage import Stage
from worker import Worker

REPOSITORIES = ["local/crash/one", "local/crash/two"]
POOLS = 3
LONGEST = 2.0
# Every so many rounds the server is also killed while it starts, and a collection without a server while it runs.
EARLY = 5


def run(kind, seed, rounds):
    """Yields a name and what was wrong, for each round and for what is left at the end."""
    place = lab.folder("crash", f"kill-{kind.NAME}", fresh=True)
    registry, workers = kind(place), cast(kind, seed)
    series = Series(registry, workers, seed, place / "data")
    wrong = []
    try:
        for number in range(1, rounds + 1):
            wrong += (found := series.one(number))
            yield f"kill {number}", found
        wrong += (found := folder.close(registry, workers, place / "data"))
        yield "kill: what is left at the end", found
        lab.say(series.summary())
    finally:
        # Kept only for those who have something to find in it.
        if not wrong:
            shutil.rmtree(place / "data", ignore_errors=True)


def cast(kind, seed, repositories=REPOSITORIES):
    """Workers for each repository and pool: two in different repositories share a pool, two in one repository do not."""
    draw = random.Random(f"{seed}/content")
    pools = [Pool(f"p{number}", draw) for number in range(POOLS)]
    return [
        Worker(repository, pool, kind, [other for other in repositories if other != repository])
        for repository in repositories
        for pool in pools
    ]


class Series:
    def __init__(self, registry, workers, seed, data):
        self.registry, self.workers, self.seed, self.data = registry, workers, seed, data
        self.changes, self.slowest = 0, 0.0

    def one(self, number):
        """Starts, sees what the last crash left, works, and kills."""
        draw = random.Random(f"{self.seed}/kill/{number}")
        moment, grace = draw.uniform(0, LONGEST), draw.uniform(0, 2)
        collections = sorted((draw.uniform(0, LONGEST), draw.choice([0, draw.uniform(0, 2)])) for _ in range(2))
        if number % EARLY == 0:
            self._disturb(draw)
        begun = time.monotonic()
        server = self.registry.start(self.data, gc_interval="200ms", gc_grace=milliseconds(grace))
        try:
            server.wait_open()
            self.slowest = max(self.slowest, time.monotonic() - begun)
            wrong = audit.check(self.workers, server.url)
            stage = Stage(server.url)
            draws = [random.Random(f"{self.seed}/kill/{number}/{worker}") for worker in self.workers]
            direct = Direction(self.registry, stage, server, moment, collections, draw)
            wrong += stage.play(self.workers, draws, direct)
            self.changes += stage.changes
            return wrong + direct.wrong
        except RuntimeError as error:
            return [str(error)]
        finally:
            kill(server)

    def _disturb(self, draw):
        """Kills a server that starts, and then a collection that works without one."""
        server = self.registry.start(self.data)
        time.sleep(draw.uniform(0, 0.1))
        kill(server)
        if "gc" not in self.registry.lacks:
            collector = self.registry.collector("0s")
            time.sleep(draw.uniform(0, 0.05))
            collector.kill()
            collector.communicate()

    def summary(self):
        return f"kill: {flights(self.changes, self.workers)}; slowest start {self.slowest:.2f} s"


class Direction:
    """Has the garbage collected at given moments, and kills the server at its."""

    def __init__(self, registry, stage, server, moment, collections, draw):
        self.registry, self.stage, self.server, self.moment, self.draw = registry, stage, server, moment, draw
        self.collections = [] if "gc" in registry.lacks else [(at, grace) for at, grace in collections if at < moment]
        self.wrong = []

    def __call__(self):
        begun = time.monotonic()
        collectors = []
        for at, grace in self.collections:
            time.sleep(max(0, begun + at - time.monotonic()))
            collectors.append(self.registry.collector(milliseconds(grace)))
        time.sleep(max(0, begun + self.moment - time.monotonic()))
        self.stage.over.set()
        ended = [collector for collector in collectors if collector.poll() is not None]
        kill(self.server)
        self.wrong += [f"gc ended with {collector.returncode}: {collector.stdout.read()}" for collector in ended if collector.returncode]
        # One that has lost its server may go on without one; the folder is free again only when it has ended.
        for collector in collectors:
            if self.draw.random() < 0.5:
                collector.kill()
            try:
                collector.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                collector.kill()
                collector.communicate()
                self.wrong.append("gc did not end within 30 s of the server's death")


def kill(server):
    server.child.kill()
    server.child.wait()


def flights(changes, workers):
    done, undone = (sum(getattr(worker.ledger, name) for worker in workers) for name in ("done", "undone"))
    return f"{changes} changes acknowledged; of those under way when it happened, {done} were done and {undone} were not"


def milliseconds(seconds):
    return f"{int(seconds * 1000)}ms"
