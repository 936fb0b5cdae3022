"""Networks that nobody else sees, and that end with the run: namespaces, and devices that lead from one into another."""

import ctypes
import errno
import fcntl
import os
import struct
import subprocess

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x1, 0x1000

libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """This machine, or this user, can have no networks of its own; the text says why."""


def isolate():
    """This process and its children have a loopback of their own from here on, and reach nobody else."""
    _unshare()
    _command("ip", "link", "set", "lo", "up")


class Namespace:
    """Another network. Whoever is in its block is there: the thread itself, and the programs that it starts."""

    def __init__(self):
        home = _here()
        _unshare()
        self.at = _here()
        _command("ip", "link", "set", "lo", "up")
        _enter(home)
        os.close(home)
        self.homes = []

    def __enter__(self):
        self.homes.append(_here())
        _enter(self.at)
        return self

    def __exit__(self, *_):
        home = self.homes.pop()
        _enter(home)
        os.close(home)


def device(name, address):
    """A TUN device in the network of this thread. Gives its descriptor, with which it ends."""
    descriptor = tun()
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError as error:
        raise Unavailable(f"no TUN device: {error.strerror}") from error
    _command("ip", "address", "add", address, "dev", name)
    _command("ip", "link", "set", name, "up", "txqueuelen", "2000")
    return descriptor


def tun():
    """What a device is made of."""
    try:
        return os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise Unavailable(f"no TUN devices: /dev/net/tun: {error.strerror}") from error


def received(name):
    """Bytes that have come out of a device of this thread's network."""
    with open("/proc/thread-self/net/dev") as table:
        rows = dict(line.split(":", 1) for line in table if ":" in line)
    return next(int(row.split()[0]) for device, row in rows.items() if device.strip() == name)


def _here():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _unshare():
    if libc.unshare(CLONE_NEWNET):
        raise Unavailable(f"no network of its own (this needs root): {errno.errorcode[ctypes.get_errno()]}")


def _enter(namespace):
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "the network cannot be entered")


def _command(*words):
    subprocess.run(words, check=True)
