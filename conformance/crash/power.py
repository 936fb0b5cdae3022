"""Power cuts, one after the other, on one data folder; and the same with servers that forget to write."""

import random
import subprocess
import time
from pathlib import Path

import audit
import folder
from disk import Disk
from kill import cast, flights, kill, milliseconds
from oracle import is_loss
from pool import Pool
from rig import lab
from stage import Stage
from worker import Worker

# What the lone pusher does whose power fails right after an answer.
PUSHES = {"push_whole": 3, "begin": 2, "finish": 3, "tag": 1, "pin": 1}
MUTANTS = {"folders": "fsync of folders does nothing", "content": "fsync of folders and of content does nothing"}


def run(kind, seed, cuts):
    """Yields a name and what was wrong, for each cut and for what is left at the end."""
    place = lab.folder("crash", f"power-{kind.NAME}", fresh=True)
    with Disk(place) as disk:
        series = Series(kind(place), disk, seed)
        for number in range(1, cuts + 1):
            try:
                yield f"power cut {number}", series.one(number, alone=number % 2 == 0)
            except RuntimeError as error:
                yield f"power cut {number}", [str(error)]
        disk.mount()
        yield "power cuts: what is left at the end", folder.close(series.registry, series.workers, series.data, forgetful=True)
    lab.say(f"power: {flights(series.changes, series.workers)}")


def mutants(kind, seed, cuts):
    """Each forgetful server must be caught within so many cuts: something that it acknowledged is lost or wrong."""
    for skips, what in MUTANTS.items():
        place = lab.folder("crash", f"mutant-{skips}", fresh=True)
        skipped = place / "skipped"
        skipped.touch()
        env = {"LD_PRELOAD": str(shim()), "FSYNC_SKIPS": skips, "FSYNC_SKIPPED": str(skipped)}
        with Disk(place) as disk:
            series = Series(kind(place), disk, f"{seed}/{skips}", env)
            try:
                wrong = hunt(series, cuts)
            except RuntimeError as error:
                wrong = [str(error)]
        count = skipped.stat().st_size
        yield f"mutant: {what} ({count} times)", wrong if count else ["nothing was skipped, so this proves nothing", *wrong]


def hunt(series, cuts):
    """Empty when the server was caught."""
    for number in range(1, cuts + 1):
        losses = [complaint for complaint in series.one(number, alone=True) if is_loss(complaint)]
        if losses:
            lab.say(f"caught after cut {number - 1}: {losses[0]}")
            return []
    return [f"not caught within {cuts} cuts"]


class Series:
    def __init__(self, registry, disk, seed, env=None):
        self.registry, self.disk, self.seed, self.env = registry, disk, seed, env
        self.data = disk.mounted_at / "data"
        self.lone = Worker("local/crash/lone", Pool("lone", random.Random(f"{seed}/lone")), registry, mix=PUSHES)
        self.workers = [*cast(registry, seed), self.lone]
        self.changes = 0

    def one(self, number, alone):
        """Starts, sees what the last cut left, works, and cuts: at a random moment of the common work, or right after an
        answer to a lone pusher, much of whose content nobody has seen before."""
        draw = random.Random(f"{self.seed}/power/{number}")
        if number > 1:
            self.disk.mount()
        server = self.registry.start(self.data, env=self.env, gc_interval="200ms", gc_grace=milliseconds(draw.uniform(0, 2)))
        try:
            server.wait_open()
            wrong = audit.check(self.workers, server.url, forgetful=True)
            return wrong + (self._alone(server, draw) if alone else self._together(server, draw))
        finally:
            kill(server)
            self.disk.unmount()

    def _alone(self, server, draw):
        # Large enough for files: in the catalog there is nothing to forget.
        self.lone.pool.more(draw, 20, least=14)
        stage = Stage(server.url, deaf=True, at=draw.randint(1, 40), act=lambda: self._cut(stage))
        return self._play(stage, [self.lone], draw, lambda: stage.over.wait(20))

    def _together(self, server, draw):
        stage = Stage(server.url, deaf=True)
        moment = draw.uniform(0.2, 2)
        return self._play(stage, self.workers, draw, lambda: (time.sleep(moment), self._cut(stage)))

    def _play(self, stage, workers, draw, direct):
        seed = draw.random()
        wrong = stage.play(workers, [random.Random(f"{seed}/{worker}") for worker in workers], direct)
        self.changes += stage.changes
        return wrong

    def _cut(self, stage):
        stage.over.set()
        self.disk.cut()


def shim():
    """The library that makes a server forgetful, built anew when its source is newer."""
    source, library = Path(__file__).with_name("shim.c"), lab.folder("crash") / "shim.so"
    if not library.is_file() or library.stat().st_mtime < source.stat().st_mtime:
        lab.debian(cc="gcc")
        subprocess.run(["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library
