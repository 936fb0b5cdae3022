"""The registries that stand behind the mirror, and what is pushed into them."""

import json
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
    """What the suite is told of the content: names only, it judges the answers by themselves."""

    tags: list[str]
    manifests: list[str]
    blobs: list[str]
    referrers: list[str]


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
    artifacts = [content.artifact(images[0], kind) for kind in ("application/vnd.example.sbom", "application/vnd.example.signature")]

    blobs = [to.blob(data) for data in [*layers, *configs, b"{}", b""]]
    tagged = {"v1": images[0], "v2": images[1]}
    manifests = [to.manifest(data, content.MANIFEST, tag) for tag, data in tagged.items()]
    manifests.append(to.manifest(multi, content.INDEX, "latest"))
    manifests += [to.manifest(data, content.MANIFEST) for data in artifacts]
    tags = [*tagged, "latest"]
    if tag_schema:
        # This registry, unlike the other one, also knows digests of 512 bits.
        blobs.append(to.blob(content.noise(5000, seed=512), "sha512"))
        listing = content.index([(data, {"artifactType": kind_of(data)}) for data in artifacts])
        tag = manifests[0].replace(":", "-")
        to.manifest(listing, content.INDEX, tag)
        tags.append(tag)
    return Loaded(tags=tags, manifests=manifests, blobs=blobs, referrers=[manifests[0]])


def kind_of(artifact):
    return json.loads(artifact)["artifactType"]
