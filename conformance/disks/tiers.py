"""Several disks, and a limit that becomes smaller."""

import random
import threading
import time

from rig.edge import until
from rig.expectation import expect
from scene import KIB, MIB, Scene, fault, file

FAST = 24 * MIB
SLOW = 512 * MIB
BLOB = MIB


def demotion(place, quick):
    """What the fast disk has no room for goes to the slow one, and is served from there without the registry"""
    with Scene(place) as scene:
        edge = scene.edge(more=disks(place, FAST, SLOW)).start()
        blobs = paced(scene, edge, place, 40 if quick else 100)
        settled = until(lambda: size(place / "fast") <= FAST and len(on(place, "slow", blobs)) >= len(blobs) * BLOB // FAST, 10)
        expect(settled is not None, f"the fast disk holds {size(place / 'fast') >> 20} MiB, the slow one {len(on(place, 'slow', blobs))} blobs")
        lost = set(blobs) - on(place, "fast", blobs) - on(place, "slow", blobs)
        expect(not lost, f"{len(lost)} of {len(blobs)} blobs are on neither disk")
        scene.origin.stop()
        hits = scene.herd(edge, blobs, 8)
        expect(hits == len(blobs), f"{hits} of {len(blobs)} were hits")
        scene.healthy(edge)
        return f"{len(on(place, 'slow', blobs))} of {len(blobs)} blobs on the slow disk"


def promotion(place, quick):
    """What is asked for often comes from the slow disk to the fast one"""
    with Scene(place) as scene:
        # What was moved rests for a while: these lie on the slow disk because there was no other.
        edge = scene.edge(more=disk("slow", place, SLOW)).start()
        blobs = scene.blobs(20, BLOB)
        scene.herd(edge, blobs, 4)
        edge.stop()
        edge.configure(disks(place, FAST, SLOW))
        edge.start()
        popular = list(blobs)[:3]

        def promoted():
            scene.herd(edge, {path: blobs[path] for path in popular}, 3, times=5)
            return on(place, "fast", blobs) >= set(popular)

        took = until(promoted, 20, 0.2)
        expect(took is not None, f"{len(on(place, 'fast', blobs))} blobs are on the fast disk, not the {len(popular)} asked for")
        scene.origin.stop()
        scene.herd(edge, blobs, 4)
        scene.healthy(edge)
        return f"within {took:.1f} s"


def killed_while_moving(place, quick):
    """kill -9 while blobs are moved: the registry has to send at most one again, and nothing is twice or half there"""
    worst = 0
    for number in range(2 if quick else 6):
        here = place / str(number)
        here.mkdir()
        with Scene(here) as scene:
            edge = scene.edge(more=disks(here, FAST, SLOW)).start()
            blobs = paced(scene, edge, here, 28)
            over = threading.Event()
            more = scene.blobs(40, BLOB)
            client = threading.Thread(target=pull_on, args=(edge, more, over))
            client.start()
            moving = until(lambda: on(here, "slow", blobs), 5, 0.01)
            time.sleep(random.Random(number).uniform(0, 0.6))
            edge.kill()
            over.set()
            client.join()
            expect(moving is not None, "nothing was moved")
            there = on(here, "fast", blobs) | on(here, "slow", blobs)
            scene.origin.log.clear()
            edge.start()
            scene.herd(edge, blobs, 4)
            again = sum(scene.origin.count("GET", path) for path in blobs)
            worst = max(worst, again)
            expect(again <= 1, f"{again} of {len(blobs)} blobs were sent again; {len(there)} were on the disks")
            twice = until(lambda: not on(here, "fast", blobs) & on(here, "slow", blobs), 5)
            expect(twice is not None, f"on both disks: {len(on(here, 'fast', blobs) & on(here, 'slow', blobs))} blobs")
            scene.healthy(edge)
            edge.stop()
    return f"at most {worst} sent again"


def shrunk(place, quick):
    """A limit of half of what is there: the port opens at once, and the folder shrinks while clients are served"""
    with Scene(place) as scene:
        edge = scene.edge(more='[storage.disk]\nlimit = "2 GiB"\n').start()
        blobs = scene.blobs(200 if quick else 800, 300 * KIB)
        scene.herd(edge, blobs, 16)
        edge.stop()
        before = size(edge.data)
        limit = before // 2
        edge.configure(f"[storage.disk]\nlimit = {limit}\n")
        begun = time.monotonic()
        edge.start()
        opened = time.monotonic() - begun
        scene.herd(edge, blobs, 8)
        took = until(lambda: size(edge.data) <= limit, 20)
        expect(took is not None, f"the folder still holds {size(edge.data) >> 20} MiB of {limit >> 20}")
        expect(size(edge.data) >= limit // 2, f"only {size(edge.data) >> 20} MiB of {limit >> 20} are left")
        scene.healthy(edge)
        return f"open after {opened:.2f} s"


def disks(place, fast, slow):
    return disk("fast", place, fast) + disk("slow", place, slow)


def disk(name, place, limit):
    kind = {"fast": "ssd", "slow": "hdd"}[name]
    return f'[[storage.disk]]\nname = "{name}"\nclass = "{kind}"\nfolder = "{place / name}"\nlimit = {limit}\n'


def paced(scene, edge, place, count):
    """Pulls new blobs one after the other, no faster than they can be moved: what finds no room would have to be deleted."""
    blobs = scene.blobs(count, BLOB)
    for path, data in blobs.items():
        answer = edge.get(path)
        expect(not fault(answer, data), fault(answer, data))
        settled = until(lambda: on(place, "fast", {path}) and size(place / "fast") <= FAST - 2 * BLOB, 5, 0.02)
        expect(settled is not None, "the fast disk gets no room within 5 s")
    return blobs


def pull_on(edge, blobs, over):
    for path in blobs:
        if over.is_set():
            return
        try:
            edge.get(path)
        except OSError:
            return
        time.sleep(0.15)


def on(place, name, blobs):
    """Which of the blobs are on a disk."""
    return {path for path in blobs if file(place / name, path).is_file()}


def size(folder):
    return sum(length(at) for at in (folder / "blobs").rglob("*"))


def length(at):
    """Of a file, which may be on its way to somewhere else."""
    try:
        return 0 if at.is_dir() else at.stat().st_size
    except FileNotFoundError:
        return 0


CASES = [demotion, promotion, killed_while_moving, shrunk]
