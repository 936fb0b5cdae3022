"""One client of one repository: it pushes, moves and deletes its own keys, one request after another, until the crash."""

import threading
from contextlib import contextmanager

from oracle import Ledger, having, lacking
from rig import content
from wire import Unanswered, Wire

OCTETS = {"Content-Type": "application/octet-stream"}
# How often each operation is tried, in relation to the others.
MIX = {
    "push_whole": 6, "begin": 4, "append": 8, "finish": 6, "cancel": 1, "mount": 2, "twins": 2,
    "tag": 6, "pin": 3, "untag": 2, "delete_manifest": 2, "delete_blob": 6, "read": 6,
}  # fmt: skip


class Surprise(Exception):
    """An answer that a correct registry does not give."""


class Worker:
    """`repository` is shared with workers that have other pools, `pool` with workers in other repositories; the keys, which
    are both together, are this worker's alone. `neighbours` are repositories that something of the pool may be mounted from."""

    def __init__(self, repository, pool, kind, neighbours=(), mix=None):
        self.repository, self.pool, self.kind, self.neighbours = repository, pool, kind, neighbours
        self.mix = {name: weight for name, weight in (mix or MIX).items() if name not in kind.lacks}
        self.ledger = Ledger()
        self.tags = [f"{pool.name}-{number}" for number in range(4)] if pool.manifests else []
        self.targets, self.places = {}, {}
        """What each open upload is to become, and where it is."""

    def __str__(self):
        return f"{self.repository}, pool {self.pool.name}"

    def work(self, stage, draw):
        """Works until the stage is over. Gives what was wrong, or None. Whatever was in flight stays open in the ledger."""
        names, weights = list(self.mix), list(self.mix.values())
        try:
            with self.on(stage, draw):
                while not stage.over.is_set():
                    getattr(self, draw.choices(names, weights)[0])()
        except Unanswered as error:
            if not stage.over.is_set():
                return f"{self}: no answer from a living server: {error}"
        except Surprise as surprise:
            return f"{self}: {surprise}"
        return None

    @contextmanager
    def on(self, stage, draw):
        """Connected to the server of a stage."""
        self.stage, self.draw, self.wire = stage, draw, Wire(stage.url)
        try:
            yield
        finally:
            self.wire.close()

    # Blobs

    def push_whole(self):
        blob = self._blob_to_push()
        before = self.ledger.world
        after = having(before, blob={blob: True})
        self._change("POST", f"{self._uploads()}?digest={blob}", 201, [before, after], body=self.pool.blobs[blob], opens=True)

    def begin(self):
        self._open(self._blob_to_push(), "")

    def mount(self):
        """The neighbour may have the blob, or lose it just then: both answers are right."""
        blob = self._some(self._missing_blobs())
        if blob and self.neighbours:
            self._open(blob, f"?mount={blob}&from={self.draw.choice(self.neighbours)}")

    def _open(self, blob, query):
        before = self.ledger.world
        after = having(before, blob={blob: True})
        may = [before, after] if query else [before]
        answer = self._send("POST", f"{self._uploads()}{query}", may, opens=True)
        if answer.status == 201 and query:
            self.ledger.landed(after)
            self.stage.acknowledged("mount")
            return
        self._expect(answer, 202, "POST")
        key = answer.headers["Docker-Upload-UUID"]
        self.targets[key], self.places[key] = blob, answer.place
        self.ledger.landed(having(before, upload={key: range(1)}))
        self.stage.acknowledged("begin")

    def append(self):
        key = self._some([key for key in self.uploads_open() if self._rest(key)])
        if not key:
            return
        have, rest = self._have(key), self._rest(key)
        # Never a single byte: sizes of none and of one are reported alike.
        chunk = rest[: max(2, self.draw.randint(1, len(rest)))]
        headers = OCTETS | ({"Content-Range": f"{have}-{have + len(chunk) - 1}"} if self.draw.random() < 0.5 else {})
        before = self.ledger.world
        reached = have + len(chunk)
        # Whatever had come of the chunk may have stayed: the client asks how far the upload is, and goes on from there.
        during = having(before, upload={key: range(have, reached + 1)})
        answer = self._send("PATCH", self.places[key], [during], chunk, headers, chunked=self.draw.random() < 0.4)
        self._expect(answer, 202, "PATCH")
        if answer.size != reached:
            raise Surprise(f"PATCH of {len(chunk)} bytes at {have} answered with a size of {answer.size}")
        self.places[key] = answer.place
        self.ledger.landed(having(before, upload={key: range(reached, reached + 1)}))
        self.stage.acknowledged("append")

    def finish(self):
        key = self._some(self.uploads_open())
        if key:
            self.complete(key)

    def complete(self, key):
        """Sends what is left of an upload and closes it."""
        blob, have, rest = self.targets[key], self._have(key), self._rest(key)
        before = self.ledger.world
        after = having(lacking(before, ("upload", key)), blob={blob: True})
        taken = {key: range(have, have + len(rest) + 1)}
        # The link counts. An upload that is still there although its blob is, is none that anybody misses.
        worlds = [having(before, upload=taken), after, having(after, upload=taken)]
        place = self.places[key]
        place += f"{'&' if '?' in place else '?'}digest={blob}"
        self._change("PUT", place, 201, worlds, after=after, body=rest)

    def cancel(self):
        key = self._some(self.uploads_open())
        if key:
            before = self.ledger.world
            self._change("DELETE", self.places[key], 204, [before, lacking(before, ("upload", key))])

    def twins(self):
        """The same blob pushed twice at the same time, the second time over a connection of its own."""
        if "push_whole" not in self.mix:
            return
        blob = self._blob_to_push()
        path, data = f"{self._uploads()}?digest={blob}", self.pool.blobs[blob]
        statuses = []
        twin = threading.Thread(target=lambda: statuses.append(post_apart(self.stage.url, path, data)))
        before = self.ledger.world
        after = having(before, blob={blob: True})
        self.ledger.unheard += 1
        twin.start()
        try:
            self._change("POST", path, 201, [before, after], body=data, opens=True)
        finally:
            twin.join()
            if statuses == [201] and not self.stage.deaf:
                self.ledger.unheard -= 1
                self.ledger.landed(after)
        if statuses != [201] and not self.stage.over.is_set():
            raise Surprise(f"the second of two pushes of {blob} was answered {statuses[0] or 'not at all'}")

    def delete_blob(self):
        blob = self._some(self._present("blob"))
        if blob:
            before = self.ledger.world
            self._change("DELETE", f"{self.base}/blobs/{blob}", 202, [before, lacking(before, ("blob", blob))])

    # Manifests

    def tag(self):
        """Pushes a manifest by a tag, new or moved."""
        manifest = self._some(self._complete_manifests())
        if manifest:
            self._put(manifest, self.draw.choice(self.tags), {})

    def pin(self):
        """Pushes a manifest by its digest, with tags where the registry takes them so."""
        manifest = self._some(self._complete_manifests())
        if manifest:
            tags = self.draw.sample(self.tags, self.draw.randint(0, 3)) if "tags in query" not in self.kind.lacks else []
            self._put(manifest, manifest, {tag: manifest for tag in tags}, "&".join(f"tag={tag}" for tag in tags))

    def _put(self, manifest, reference, tags, query=""):
        before = self.ledger.world
        if reference != manifest:
            tags = {reference: manifest}
        path = f"{self.base}/manifests/{reference}" + (f"?{query}" if query else "")
        worlds = [before, having(before, manifest={manifest: True}, tag=tags)]
        self._change("PUT", path, 201, worlds, body=self.pool.manifests[manifest], media_type=content.MANIFEST)

    def untag(self):
        tag = self._some(self._present("tag"))
        if tag:
            before = self.ledger.world
            self._change("DELETE", f"{self.base}/manifests/{tag}", 202, [before, lacking(before, ("tag", tag))])

    def delete_manifest(self):
        """Its tags go with it."""
        manifest = self._some(self._present("manifest"))
        if manifest:
            before = self.ledger.world
            tags = [key for key, value in before.items() if key[0] == "tag" and value == manifest]
            worlds = [before, lacking(before, ("manifest", manifest), *tags)]
            self._change("DELETE", f"{self.base}/manifests/{manifest}", 202, worlds)

    # Reading

    def read(self):
        """Something that is there or not, for certain, while others push, delete and collect."""
        kind, name = self.draw.choice([("blob", blob) for blob in self.pool.blobs] + [("manifest", m) for m in self.pool.manifests])
        answer = self._send("GET", f"{self.base}/{kind}s/{name}", None, headers={"Accept": content.ACCEPT})
        there = (kind, name) in self.ledger.world
        self._expect(answer, 200 if there else 404, "GET")
        if there and answer.body is not None and content.digest(answer.body) != name:
            raise Surprise(f"{kind} {name} has other bytes")

    # Requests

    def _change(self, method, path, status, worlds, after=None, body=b"", media_type=None, opens=False):
        headers = OCTETS if media_type is None else {"Content-Type": media_type}
        answer = self._send(method, path, worlds, body, headers if body else None, opens=opens)
        self._expect(answer, status, method)
        self.ledger.landed(worlds[-1] if after is None else after)
        self.stage.acknowledged(method)

    def _send(self, method, path, worlds, body=b"", headers=None, chunked=False, opens=False):
        """One request, during which any of the `worlds` may be. An answer after the end counts as none: a power cut takes it
        from the wire."""
        if worlds:
            self.ledger.flight(*worlds)
        self.ledger.unheard += opens
        pause = self.draw.choice([0, 0.002, 0.01]) if len(body) > 64 and self.draw.random() < 0.15 else None
        answer = self.wire.ask(method, path, body, headers, pause=pause, length=not chunked)
        if self.stage.deaf and self.stage.over.is_set():
            raise Unanswered("after the cut")
        self.ledger.unheard -= opens
        self.last = f"{method} {path}"
        return answer

    def _expect(self, answer, status, method):
        if answer.status != status:
            raise Surprise(f"{self.last} was answered {answer.status}, not {status}: {(answer.body or b'')[:300]!r}")

    # Its keys

    @property
    def base(self):
        return f"/v2/{self.repository}"

    def _uploads(self):
        return f"{self.base}/blobs/uploads/"

    def _present(self, kind):
        return [name for what, name in self.ledger.world if what == kind]

    def uploads_open(self):
        return self._present("upload")

    def _missing_blobs(self):
        return [blob for blob in self.pool.blobs if ("blob", blob) not in self.ledger.world]

    def _blob_to_push(self):
        """Mostly one that is missing; what is there may come again."""
        missing = self._missing_blobs()
        return self.draw.choice(missing if missing and self.draw.random() < 0.8 else list(self.pool.blobs))

    def _complete_manifests(self):
        present = set(self._present("blob"))
        return [manifest for manifest in self.pool.manifests if self.pool.parts(manifest) <= present]

    def _have(self, key):
        return self.ledger.world["upload", key].start

    def _rest(self, key):
        return self.pool.blobs[self.targets[key]][self._have(key) :]

    def _some(self, choices):
        return self.draw.choice(choices) if choices else None


def post_apart(url, path, data):
    wire = Wire(url)
    try:
        return wire.ask("POST", path, data, OCTETS).status
    except Unanswered:
        return None
    finally:
        wire.close()
