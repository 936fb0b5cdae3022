"""File systems that nobody else sees, and that end with the run."""

import ctypes
import subprocess

from . import lab

CLONE_NEWNS = 0x20000


def isolate():
    """Mounts from here on are this process's and its children's: not even a killed run leaves one behind."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "no mounts of its own (this needs root)")
    command("mount", "--make-rprivate", "/")


def command(*words):
    subprocess.run([str(word) for word in words], check=True)


class Mount:
    """A file system below `place`, gone when the block is left. Whoever used it has ended by then."""

    def __init__(self, place):
        self.at = place
        self.image = place.with_name(place.name + ".image")

    def tmpfs(self, *options):
        self.at.mkdir(parents=True, exist_ok=True)
        command("mount", "-t", "tmpfs", "-o", ",".join(["mode=0755", *options]), "tmpfs", self.at)
        return self

    def ext4(self, size, *options):
        lab.debian(mke2fs="e2fsprogs", umount="mount")
        self.at.mkdir(parents=True, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(size)
        command("mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        command("mount", "-t", "ext4", "-o", ",".join(["loop", *options]), self.image, self.at)
        return self

    def remount(self, options):
        """Whether it could be: a file that is open for writing keeps a file system writable."""
        done = subprocess.run(["mount", "-o", f"remount,{options}", str(self.at)], capture_output=True)
        return done.returncode == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        command("umount", self.at)
        self.image.unlink(missing_ok=True)
