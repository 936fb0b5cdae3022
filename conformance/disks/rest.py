"""Faults at rest: what lies on the disk changes behind the server's back."""

import json
import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

from rig import lab
from rig.edge import until
from rig.expectation import expect
from scene import KIB, MIB, Scene, fault, file

ROUNDS = 7
BLOBS, QUICK_BLOBS = 200, 40
SMALLEST, LARGEST = 64 * KIB, 8 * MIB
READERS = 8
PAGE = 4096
KEPT_ASIDE = 30


def flip_a_bit(path, draw, _others):
    flip(path, draw.randrange(path.stat().st_size), 1 << draw.randrange(8))


def flip_the_last_byte(path, draw, _others):
    flip(path, path.stat().st_size - 1, 0xFF)


def flip(path, place, bits):
    with open(path, "r+b") as at:
        at.seek(place)
        byte = at.read(1)[0]
        at.seek(place)
        at.write(bytes([byte ^ bits]))


def truncate(path, draw, _others):
    os.truncate(path, draw.randrange(1, path.stat().st_size))


def empty(path, draw, _others):
    os.truncate(path, 0)


def extend(path, draw, _others):
    with open(path, "ab") as at:
        at.write(draw.randbytes(draw.randint(1, PAGE)))


def take_another(path, draw, others):
    """Another file under this name."""
    other = draw.choice([other for other in others if other != path])
    path.write_bytes(other.read_bytes())


def zero_a_page(path, draw, _others):
    with open(path, "r+b") as at:
        at.seek(draw.randrange(max(1, path.stat().st_size // PAGE)) * PAGE)
        at.write(bytes(PAGE))


KINDS = [flip_a_bit, flip_the_last_byte, truncate, empty, extend, take_another, zero_a_page]


def corruptions(place, quick):
    """1,400 faults at rest (280 quick), met by clients: never wrong and complete; with the registry there, right within one retry"""
    with Scene(place) as scene:
        blobs = made(scene, quick)
        edge = scene.edge().start()
        scene.herd(edge, blobs, READERS)
        seen, retried = 0, 0
        for number in range(ROUNDS):
            expect(await_all(edge, blobs), f"round {number + 1}: not all blobs are on the disk")
            running = number % 2 == 1
            if not running:
                edge.stop()
            seen += spoil(edge.data, blobs, number, like_a_disk=not running)
            if not running:
                edge.start()
            retried += meet(scene, edge, blobs, number)
        scene.healthy(edge)
        return f"{seen} faults, {retried} times a second try was needed"


def inner_ranges(place, quick):
    """Faults at rest met by ranges that end before the blob does: never wrong and complete, right within one retry"""
    with Scene(place) as scene:
        blobs = scene.blobs(10 if quick else 40, 3 * MIB)
        edge = scene.edge().start()
        scene.herd(edge, blobs, READERS)
        expect(await_all(edge, blobs), "not all blobs are on the disk")
        edge.stop()
        for path in blobs:
            spoil_at(file(edge.data, path), 3 * MIB // 2)
        edge.start()
        said = {"Range": f"bytes={3 * MIB // 2 - 5000}-{3 * MIB // 2 + 4999}"}
        for path, data in blobs.items():
            wanted = data[3 * MIB // 2 - 5000 : 3 * MIB // 2 + 5000]
            if not judge(edge.get(path, **said), wanted, 206):
                expect(judge(edge.get(path, **said), wanted, 206), "not right at the second try")
        scene.healthy(edge)


def spoil_at(path, place):
    """Flips a bit, as a disk would: the times of the file do not tell."""
    times = path.stat()
    flip(path, place, 1)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def scrubbed(place, quick):
    """One scrub of a server that runs finds every fault; what is wrong leaves the folder, for quarantine"""
    return scrub(place, quick, running=True)


def scrubbed_offline(place, quick):
    """So does one without a server"""
    return scrub(place, quick, running=False)


def scrub(place, quick, running):
    with Scene(place) as scene:
        blobs = made(scene, quick)
        edge = scene.edge().start()
        scene.herd(edge, blobs, READERS)
        expect(await_all(edge, blobs), "not all blobs are on the disk")
        edge.stop()
        # A few stay as they are: who calls all wrong finds every fault too.
        paths = list(blobs)
        sound, spoilt = paths[: len(paths) // 8], paths[len(paths) // 8 :]
        spoil(edge.data, {path: blobs[path] for path in spoilt}, 0, like_a_disk=True)
        if running:
            edge.start()
        status, named = ask(edge)
        expect(status == 1, f"`scrub` ended with {status}, not 1")
        expect(named == {digest(path) for path in spoilt}, f"{len(named)} of {len(spoilt)} faults were found")
        left = [path for path in spoilt if present(edge.data, path) and wrong(edge.data, path, blobs[path])]
        expect(not left, f"{len(left)} wrong files are still there")
        lost = [path for path in sound if not present(edge.data, path) or wrong(edge.data, path, blobs[path])]
        expect(not lost, f"{len(lost)} right files are gone")
        # Not all are kept there for ever: it is bounded.
        aside = quarantined(edge.data)
        expect(len(aside) >= min(len(spoilt), KEPT_ASIDE), f"{len(aside)} files are in quarantine")
        status, named = ask(edge)
        expect(status == 0 and not named, f"the next one ended with {status} and named {len(named)}")
        if not running:
            edge.start()
        scene.herd(edge, blobs, READERS)
        scene.healthy(edge)
        return f"{len(spoilt)} of {len(spoilt)} found"


def ask(edge):
    """How `harbinger scrub` ends, and which digests it names."""
    command = [lab.harbinger(), "scrub", "--config", edge.file, "--json"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("HARBINGER_")}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, env=env)
    expect(done.returncode in (0, 1), f"`scrub` ended with {done.returncode}: {done.stderr[-300:]}")
    return done.returncode, {entry["digest"] for entry in json.loads(done.stdout)["damaged"]}


def digest(path):
    return path.rpartition("/")[2]


def made(scene, quick):
    draw = random.Random(7)
    # Few are large, as in life, and as the machine likes it.
    return scene.blobs(QUICK_BLOBS if quick else BLOBS, lambda: int(SMALLEST * (LARGEST / SMALLEST) ** draw.random()))


def await_all(edge, blobs):
    return until(lambda: all(present(edge.data, path) for path in blobs), 20) is not None


def spoil(data, blobs, number, like_a_disk):
    """Makes each file wrong in one of the ways. `like_a_disk`: its times do not tell. Gives how many it were."""
    draw = random.Random(number)
    files = [file(data, path) for path in blobs]
    originals = {at: at.read_bytes() for at in files}
    for turn, (at, path) in enumerate(zip(files, blobs)):
        times = at.stat()
        kind = KINDS[(turn + number) % len(KINDS)]
        kind(at, draw, files)
        if at.read_bytes() == originals[at]:
            flip_a_bit(at, draw, files)
        if like_a_disk:
            os.utime(at, ns=(times.st_atime_ns, times.st_mtime_ns))
        expect(at.read_bytes() != blobs[path], f"{kind.__name__} did nothing")
    return len(files)


def meet(scene, edge, blobs, number):
    """Half of the blobs are asked for while the registry is away, then all are while it is there. Every fourth first request is
    for a range. Gives how many needed a second try."""
    paths = list(blobs)
    random.Random(number).shuffle(paths)
    with ThreadPoolExecutor(READERS) as hands:
        scene.origin.stop()
        list(hands.map(lambda turned: unserved(edge, turned[1], blobs[turned[1]], turned[0] % 4 == 0), enumerate(paths[: len(paths) // 2])))
        scene.origin.start()
        expect(reachable(scene, edge), "the registry is back, and is not asked within 5 s")
        return sum(hands.map(lambda turned: healed(edge, turned[1], blobs[turned[1]], turned[0] % 4 == 0), enumerate(paths)))


def unserved(edge, path, data, ranged):
    """Without the registry there is nothing right to be had but from memory: an error, an answer that breaks off, or all of it."""
    said, data, status = part(data, ranged)
    judge(edge.get(path, **said), data, status)


def healed(edge, path, data, ranged):
    said, wanted, status = part(data, ranged)
    if judge(edge.get(path, **said), wanted, status):
        return 0
    expect(judge(edge.get(path, **said), wanted, status), f"{len(data)} bytes are not right at the second try")
    expect(judge(edge.get(path), data, 200), f"{len(data)} bytes are right as a range, but not as a whole")
    return 1


def reachable(scene, edge):
    """Whether the breaker of a registry that was away is closed again."""
    ((path, data),) = scene.blobs(1, KIB).items()
    return until(lambda: judge(edge.get(path), data, 200), 5) is not None


def part(data, ranged):
    """Headers, bytes and status of a request."""
    if not ranged:
        return {}, data, 200
    first = len(data) // 3
    return {"Range": f"bytes={first}-{len(data) - 1}"}, data[first:], 206


def judge(answer, data, status):
    """Whether it is right. What is neither that nor an error nor broken off is what must never be."""
    if answer.status == status and answer.complete:
        expect(answer.body == data, f"{len(answer.body)} wrong bytes, complete, of {len(data)}")
        return True
    expect(answer.status >= 500 or not answer.complete, f"answered {answer.status}: {fault(answer, data)}")
    return False


def present(data, path):
    return file(data, path).is_file()


def wrong(data, path, right):
    return file(data, path).read_bytes() != right


def quarantined(data):
    return [at for at in (data / "quarantine").rglob("*") if at.is_file()]


CASES = [corruptions, inner_ranges, scrubbed, scrubbed_offline]
