"""Images for the origin: real layers (a tar of one file, not compressed further), and what a client must end up with."""

import io
import tarfile
from dataclasses import dataclass, field

from rig import content
from rig.push import Pusher

KIB, MIB = 1 << 10, 1 << 20
TAG = "v1"


@dataclass
class Image:
    """What was pushed: an index, the manifest in it, and the blobs, by digest."""

    repository: str
    index: bytes
    manifest: bytes
    blobs: dict[str, bytes] = field(default_factory=dict)

    def everything(self):
        """Digest and bytes of all that a bucket must hold of it."""
        return {content.digest(data): data for data in (self.index, self.manifest)} | self.blobs

    def layers(self):
        """The blobs from the largest to the smallest, without the configuration."""
        return sorted((name for name in self.blobs if not self.blobs[name].startswith(b"{")), key=lambda name: -len(self.blobs[name]))

    def path(self, kind, reference):
        return f"/v2/{self.repository}/{kind}/{reference}"

    def by_tag(self):
        return self.path("manifests", TAG)

    def blob(self, name):
        return self.path("blobs", name)


def push(registry, repository, sizes):
    """An image with a layer of about each size."""
    layers = [layer(f"{repository}-{number}", size) for number, size in enumerate(sizes)]
    # A layer that is not compressed is its own diff.
    config = content.encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/file"]},
            "rootfs": {"type": "layers", "diff_ids": [content.digest(data) for data in layers]},
            "history": [{"created_by": repository} for _ in layers],
        }
    )
    manifest = content.image(layers, config)
    index = content.index([(manifest, {"platform": {"architecture": "amd64", "os": "linux"}})])
    to = Pusher(registry, repository)
    blobs = {to.blob(data): data for data in [*layers, config]}
    to.manifest(manifest, content.MANIFEST)
    to.manifest(index, content.INDEX, TAG)
    return Image(repository, index, manifest, blobs)


def layer(name, size):
    data = content.noise(size, name)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo(f"file-{content.digest(data)[7:19]}")
        entry.size = size
        tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()
