"""No space, no inodes: pulls go on, and blobs are kept again when there is room."""

from rig.mounts import Mount
from scene import MIB, Scene

CLIENTS = 50


def small_disk(place, quick):
    """A disk of 64 MiB behind a limit of 50 GiB: 50 clients pull 1 GiB"""
    with Mount(place / "disk").tmpfs("size=64m") as disk, Scene(place) as scene:
        blobs = scene.blobs(64 if quick else 128, 2 * MIB)
        edge = scene.edge(data=disk.at / "data").start()
        hits = scene.herd(edge, blobs, CLIENTS, times=2 if quick else 4)
        scene.healthy(edge)
        edge.stop()
        return f"{hits} hits"


def no_space(place, quick):
    """The last byte of the disk is used up by others: every pull is right; blobs are kept again when there is space"""
    with Mount(place / "disk").tmpfs("size=64m") as disk, Scene(place) as scene:
        edge = scene.edge(data=disk.at / "data").start()
        scene.herd(edge, scene.blobs(4, MIB), 4)
        ballast = disk.at / "ballast"
        fill(ballast)
        scene.herd(edge, scene.blobs(20 if quick else 100, MIB), CLIENTS, times=2)
        ballast.unlink()
        took = scene.kept_again(edge)
        scene.healthy(edge)
        edge.stop()
        return f"kept again after {took:.1f} s"


def started_full(place, quick):
    """It starts on a disk without a free byte, and serves"""
    with Mount(place / "disk").tmpfs("size=64m") as disk, Scene(place) as scene:
        edge = scene.edge(data=disk.at / "data").start()
        kept = scene.blobs(8, MIB)
        scene.herd(edge, kept, 4)
        edge.stop()
        ballast = disk.at / "ballast"
        fill(ballast)
        edge.start()
        scene.herd(edge, kept, 8)
        scene.herd(edge, scene.blobs(10, MIB), 8)
        ballast.unlink()
        took = scene.kept_again(edge)
        scene.healthy(edge)
        edge.stop()
        return f"kept again after {took:.1f} s"


def no_inodes(place, quick):
    """All inodes of the disk are used up: every pull is right; blobs are kept again when there are some"""
    with Mount(place / "disk").tmpfs("size=512m", "nr_inodes=600") as disk, Scene(place) as scene:
        edge = scene.edge(data=disk.at / "data").start()
        scene.herd(edge, scene.blobs(4, MIB), 4)
        strangers = disk.at / "strangers"
        strangers.mkdir()
        try:
            for number in range(600):
                (strangers / str(number)).touch()
        except OSError:
            pass
        scene.herd(edge, scene.blobs(20 if quick else 100, MIB), CLIENTS, times=2)
        for stranger in strangers.iterdir():
            stranger.unlink()
        took = scene.kept_again(edge)
        scene.healthy(edge)
        edge.stop()
        return f"kept again after {took:.1f} s"


def fill(ballast):
    """Writes until not a byte is left."""
    with open(ballast, "wb", buffering=0) as file:
        for size in (MIB, 4096, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                pass


CASES = [small_disk, no_space, started_full, no_inodes]
