"""A disk that refuses: read-only, or with errors of input and output."""

import random
import subprocess
import threading
import time
from contextlib import contextmanager

from rig import lab
from rig.edge import until
from rig.expectation import Missed, expect
from rig.mounts import Mount
from scene import KIB, MIB, Scene

# Calls on files, not those on sockets: of what use is a client that cannot be heard? `write` and `read` are not among them:
# Harbinger writes and reads files at positions, and the runtime wakes its threads by `write`.
WRITES = ["posix/io/rw/pwrite", "posix/io/oc/open", "posix/io/dir/rename"]
SYNCS = ["posix/io/sync/fsync", "posix/io/sync/fdatasync"]
READS = ["posix/io/rw/pread"]
EIO = 5
CONTROL = "fiu"


def read_only(place, quick):
    """The disk becomes read-only while clients pull: every pull is right; blobs are kept again when it is writable"""
    with Mount(place / "disk").ext4(256 * MIB) as disk, Scene(place) as scene:
        # The catalog is somewhere else: its file is always open for writing, and would not let the disk become read-only.
        edge = scene.edge(more=f'[[storage.disk]]\nname = "only"\nfolder = "{disk.at / "cache"}"\n').start()
        kept = scene.blobs(8, MIB)
        scene.herd(edge, kept, 8)
        # Nor would what was just written, and is open since then.
        edge.stop()
        edge.start()
        expect(pull_until(scene, edge, kept, lambda: disk.remount("ro")), "the disk could not be made read-only")
        scene.herd(edge, kept, 8)
        scene.herd(edge, scene.blobs(20 if quick else 60, 700 * KIB), 20, times=2)
        expect(disk.remount("rw"), "the disk could not be made writable")
        took = scene.kept_again(edge, disk.at / "cache")
        scene.healthy(edge)
        edge.stop()
        return f"kept again after {took:.1f} s"


def dead_disk(place, quick):
    """ext4 aborts while clients pull, as after an error of its device, with the catalog on it: every pull is right"""
    with Mount(place / "disk").ext4(256 * MIB) as disk, Scene(place) as scene:
        edge = scene.edge(data=disk.at / "data").start()
        scene.herd(edge, scene.blobs(8, MIB), 8)
        aborted = pull_until(scene, edge, scene.blobs(100, 200 * KIB), lambda: disk.remount("abort"))
        expect(aborted, "the file system could not be aborted")
        scene.herd(edge, scene.blobs(20 if quick else 60, 700 * KIB), 20, times=2)
        scene.healthy(edge)
        edge.stop()
        return None


def pull_until(scene, edge, blobs, true):
    """Two clients pull, for as long as it takes until something can be done."""
    over, wrong = threading.Event(), []

    def pull():
        while not over.is_set():
            try:
                scene.herd(edge, blobs, 2)
            except Missed as missed:
                wrong.append(missed)
                return

    client = threading.Thread(target=pull)
    client.start()
    time.sleep(0.1)
    done = until(true, 10, 0.01)
    over.set()
    client.join()
    if wrong:
        raise wrong[0]
    return done is not None


def eio_written(place, quick):
    """EIO when files are written, in 2 % and in 50 % of the calls: every pull is right; blobs are kept again when it is over"""
    return errors(place, quick, WRITES)


def eio_synced(place, quick):
    """EIO when files are synced, in 2 % and in 50 % of the calls: every pull is right; blobs are kept again when it is over"""
    return errors(place, quick, SYNCS)


def eio_read(place, quick):
    """EIO when files are read by a server that has just started: every pull is right within one retry; then from the cache again"""
    with injected(place) as (scene, edge):
        kept = scene.blobs(20 if quick else 60, lambda: random.Random(scene.made).randint(20 * KIB, 3 * MIB))
        scene.herd(edge, kept, 8)
        edge.stop()
        edge.start()
        enable(edge, place, READS, 0.5)
        retried = scene.patient(edge, kept, 20, retries=3)
        disable(edge, place, READS)
        took = scene.kept_again(edge)
        scene.healthy(edge)
        return f"{retried} of {len(kept)} pulled again; kept again after {took:.1f} s"


def errors(place, quick, names):
    with injected(place) as (scene, edge):
        kept = scene.blobs(20, 700 * KIB)
        scene.herd(edge, kept, 8)
        # The second figure: with few errors some pulls would not meet any.
        for probability in (0.02, 0.5):
            enable(edge, place, names, probability)
            scene.herd(edge, {**kept, **scene.blobs(20 if quick else 60, 700 * KIB)}, 20, times=2)
            disable(edge, place, names)
            took = scene.kept_again(edge)
        scene.healthy(edge)
        expect(f"os error {EIO}" in (edge.place / "log").read_text(), "nothing was injected, so this proves nothing")
        return f"kept again after {took:.1f} s"


@contextmanager
def injected(place):
    """An edge with libfiu in it."""
    lab.debian(fiu_run="fiu-utils")
    with Scene(place) as scene:
        edge = scene.edge(wrapper=["fiu-run", "-x", "-f", place / CONTROL]).start()
        yield scene, edge
        edge.stop()


def enable(edge, place, names, probability):
    control(edge, place, [f"enable_random name={name},probability={probability},failinfo={EIO}" for name in names])


def disable(edge, place, names):
    control(edge, place, [f"disable name={name}" for name in names])


def control(edge, place, commands):
    """Tells the faults what to do, in the process that has them."""
    pid = edge.server.child.pid
    for command in commands:
        done = subprocess.run(["fiu-ctrl", "-f", place / CONTROL, "-c", command, str(pid)], capture_output=True, text=True, timeout=10)
        expect(done.returncode == 0 and not done.stdout, f"fiu-ctrl: {done.stdout}{done.stderr}")


CASES = [read_only, dead_disk, eio_written, eio_synced, eio_read]
