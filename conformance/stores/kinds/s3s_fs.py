"""s3s-fs: S3 over a folder. It checks every signature, of headers and of URLs."""

from rig import lab
from rig.link import Link
from rig.process import Process, free_port

from . import s3
from .s3 import configuration

__all__ = ["Bucket", "configuration"]

NAME, LINK, SIGNS, CHECKS = "s3s-fs", Link, True, True
VERSION = "0.14.1"
PACKAGES = ["boto3"]


def start(place, link, packages):
    program = lab.cargo_program(NAME, VERSION, "--features", "binary")
    port, root = free_port(), place / "buckets"
    root.mkdir()
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--access-key", s3.ACCESS_KEY, "--secret-key", s3.SECRET_KEY, root]
    return Process(NAME, command, port, place / "s3s-fs.log")


class Bucket(s3.Bucket):
    """Written to as the folder that it is: the server waits a minute for the bytes of an object that has none."""

    def __init__(self, server):
        super().__init__(server)
        self.folder = server.log.parent / "buckets" / s3.NAME

    def write(self, key, data):
        (self.folder / key).write_bytes(data)
