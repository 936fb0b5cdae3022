"""The registries that stand behind the mirror, and what is pushed into them."""

from dataclasses import dataclass
from pathlib import Path

from rig import content, lab
from rig.process import Process, free_port
from rig.push import Pusher

REPOSITORY = "library/demo"


def plain(place):
    """The registry of go-containerregistry, in memory, which answers the referrers API."""
    port = free_port()
    program = lab.go_build("plain-registry", Path(__file__).with_name("upstream"))
    return Process("plain-registry", [program, "-listen", f"127.0.0.1:{port}"], port, place / "upstream.log")


def debian(place):
    """Debian's docker-registry, which knows no referrers API: referrers are found by the tag schema."""
    lab.debian(docker_registry="docker-registry")
    port = free_port()
    file = place / "upstream.yml"
    file.write_text(
        f"version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {place / 'upstream'}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    return Process("docker-registry", ["docker-registry", "serve", file], port, place / "upstream.log")


@dataclass
class Loaded:
    """The names of the content. The suite is told no more than these; our own checks also use which digest a tag means, and
    `artifacts`, which has by digest the artifact type of whatever refers to the subject."""

    tags: dict[str, str]
    manifests: list[str]
    blobs: list[str]
    referrers: list[str]
    artifacts: dict[str, str]


def fill(url, tag_schema):
    """Pushes two images, an index over them and two artifacts that refer to the first image."""
    to = Pusher(url, REPOSITORY)
    layers = [content.noise(size, seed=size) for size in (1, 4096, 300_000)]
    configs = [content.config("amd64"), content.config("arm64")]
    images = [content.image(layers, configs[0]), content.image(layers[:2], configs[1])]
    multi = content.index(
        [
            (images[0], {"platform": {"os": "linux", "architecture": "amd64"}}),
            (images[1], {"platform": {"os": "linux", "architecture": "arm64"}}),
        ]
    )
    kinds = ["application/vnd.example.sbom", "application/vnd.example.signature"]
    artifacts = {content.artifact(images[0], kind): kind for kind in kinds}

    blobs = [to.blob(data) for data in [*layers, *configs, b"{}", b""]]
    tagged = {"v1": images[0], "v2": images[1]}
    manifests = [to.manifest(data, content.MANIFEST, tag) for tag, data in tagged.items()]
    manifests.append(to.manifest(multi, content.INDEX, "latest"))
    manifests += [to.manifest(data, content.MANIFEST) for data in artifacts]
    tags = dict(zip([*tagged, "latest"], manifests))
    if tag_schema:
        # This registry, unlike the other one, also knows digests of 512 bits.
        blobs.append(to.blob(content.noise(5000, seed=512), "sha512"))
        listing = content.index([(data, {"artifactType": kind}) for data, kind in artifacts.items()])
        tag = manifests[0].replace(":", "-")
        tags[tag] = to.manifest(listing, content.INDEX, tag)
    named = {content.digest(data): kind for data, kind in artifacts.items()}
    return Loaded(tags=tags, manifests=manifests, blobs=blobs, referrers=[manifests[0]], artifacts=named)
