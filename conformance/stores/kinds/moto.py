"""moto: all of S3, with conditions and multipart uploads. It believes every signature."""

from rig.link import Link
from rig.process import Process, free_port

from .s3 import Bucket, configuration

__all__ = ["Bucket", "configuration"]

NAME, LINK, SIGNS, CHECKS = "moto", Link, True, False
PACKAGES = ["moto[server]==5.2.5"]


def start(place, link, packages):
    port = free_port()
    command = [packages / "bin" / "python", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    return Process(NAME, command, port, place / "moto.log")
