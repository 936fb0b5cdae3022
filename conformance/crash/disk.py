"""A disk whose power can be cut: ext4 on a file, mounted where nobody else sees it."""

import fcntl
import os
import struct

from rig import lab
from rig.mounts import command, isolate

# EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32); NOLOGFLUSH: what is not in the journal by now is lost, as when the power fails.
SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125
NOLOGFLUSH = 2
# The journal is written when somebody asks for it, hardly ever by itself: what nobody asked for is to be lost.
OPTIONS = "loop,commit=300,noatime"
SIZE = 512 << 20


class Disk:
    """Its file and its mount are gone when the block is left."""

    def __init__(self, place):
        self.image, self.mounted_at = place / "disk.ext4", place / "disk"
        self._handle = None

    def __enter__(self):
        lab.debian(mke2fs="e2fsprogs", umount="mount")
        # A mount that even a killed run could not leave behind: it ends with the last process that sees it.
        isolate()
        self.mounted_at.mkdir(exist_ok=True)
        try:
            with open(self.image, "wb") as file:
                file.truncate(SIZE)
            command("mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
            self.mount()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.unmount()
        self.mounted_at.rmdir()
        self.image.unlink(missing_ok=True)

    def mount(self):
        command("mount", "-t", "ext4", "-o", OPTIONS, self.image, self.mounted_at)
        self._handle = os.open(self.mounted_at, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def cut(self):
        """The power fails: nothing is written any more, and what was not, is lost."""
        fcntl.ioctl(self._handle, SHUTDOWN, struct.pack("I", NOLOGFLUSH))

    def unmount(self):
        """Whoever used the disk has ended."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if os.path.ismount(self.mounted_at):
            command("umount", self.mounted_at)
