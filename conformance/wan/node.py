"""A client of a mirror as a container runtime is one: it keeps what it has pulled, and asks for the rest, so many at once."""

import hashlib
import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from rig import content
from rig.client import PATIENCE
from rig.expectation import expect

SLICE = 256 * 1024


class Asked:
    """What has been asked for at an edge by all of its nodes."""

    def __init__(self):
        self.lock, self.digests = threading.Lock(), set()

    def first(self, digest):
        """Whether nobody has asked for it before. From now on somebody has."""
        with self.lock:
            is_first = digest not in self.digests
            self.digests.add(digest)
            return is_first


@dataclass
class Found:
    """A content that nobody at the edge had asked for before."""

    digest: str
    bytes: int
    said: str
    """How it was answered, by the server's own word: its `Cache-Status`."""
    since: float
    """When its pull began, in seconds since the beginning of 1970."""


@dataclass
class Pull:
    """One pull of an image, of which everything had its right digest."""

    digest: str
    seconds: float
    asked: int
    """Contents that the node did not have."""
    bytes: int
    """Their bytes."""
    found: list[Found]
    """Those that nobody at the edge had asked for before."""


class Node:
    """`address` is its own, of loopback: it is known by it. Bytes are hashed and forgotten, digests are kept. `asked` is shared by all
    nodes of an edge."""

    def __init__(self, url, address, customer=None, at_once=3, asked=None):
        self.at, self.address, self.at_once, self.asked = urlsplit(url), address, at_once, asked or Asked()
        self.headers = {"X-Harbinger-Customer": customer} if customer else {}
        self.has = set()
        self.own = threading.local()

    def pull(self, repository, tag):
        begun, since, found = time.monotonic(), time.time(), []
        with ThreadPoolExecutor(self.at_once) as hands:
            # On one of the hands, whose connection is used again for the first layer.
            digest, named, size = hands.submit(self._resolve, repository, tag).result()
            missing = [name for name in named if name not in self.has]
            sizes = list(hands.map(lambda name: self._layer(f"/v2/{repository}/blobs/{name}", name, found, since), missing))
            seconds = time.monotonic() - begun
            self.has.update(missing)
            for _ in range(self.at_once):
                hands.submit(self._hang_up)
        return Pull(digest, seconds, len(missing), size + sum(sizes), found)

    def _resolve(self, repository, tag):
        """What the tag names, what that names, and its length."""
        answer = self._ask("HEAD", f"/v2/{repository}/manifests/{tag}")
        answer.read()
        expect(answer.status == 200, f"HEAD of {repository}:{tag} was answered {answer.status}")
        digest = answer.headers["Docker-Content-Digest"]
        kept = []
        size = self._take(f"/v2/{repository}/manifests/{digest}", digest, kept.append)
        manifest = json.loads(b"".join(kept))
        return digest, list(dict.fromkeys(each["digest"] for each in [manifest["config"], *manifest["layers"]])), size

    def _layer(self, path, digest, found, since):
        """Reads a layer or a configuration. Gives its length, and notes how it was found when nobody had asked for it before."""
        is_first, said = self.asked.first(digest), []
        size = self._take(path, digest, status=said.append)
        if is_first:
            found.append(Found(digest, size, said[0], since))
        return size

    def _take(self, path, digest, keep=lambda data: None, status=lambda said: None):
        """Reads a content to its end. Gives its length."""
        answer = self._ask("GET", path)
        status(answer.headers.get("Cache-Status") or "")
        expect(answer.status == 200, f"GET {path} was answered {answer.status}")
        sum, size = hashlib.sha256(), 0
        while data := answer.read(SLICE):
            sum.update(data)
            size += len(data)
            keep(data)
        expect(f"sha256:{sum.hexdigest()}" == digest, f"GET {path} gave {size} bytes that are not the ones asked for")
        return size

    def _ask(self, method, path):
        connection = getattr(self.own, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection(self.at.hostname, self.at.port, PATIENCE, source_address=(self.address, 0))
            self.own.connection = connection
        connection.request(method, path, headers={"Accept": content.ACCEPT, **self.headers})
        return connection.getresponse()

    def _hang_up(self):
        if connection := getattr(self.own, "connection", None):
            connection.close()
