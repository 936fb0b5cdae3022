"""Deterministic content: blobs, image manifests, indexes and artifacts, with their digests."""

import hashlib
import json
import random

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
ACCEPT = ", ".join(
    [
        MANIFEST,
        INDEX,
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ]
)


def digest(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def noise(size, seed):
    """Incompressible bytes, the same for the same seed."""
    return random.Random(seed).randbytes(size)


def descriptor(data, media_type, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


def config(architecture="amd64", **more):
    return encode({"architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}, **more})


def image(layers, config_bytes, **more):
    return encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(config_bytes, CONFIG),
            "layers": [descriptor(layer, LAYER) for layer in layers],
            **more,
        }
    )


def index(manifests, **more):
    """An index over `manifests`, pairs of bytes and further descriptor fields."""
    listed = [descriptor(data, MANIFEST, **fields) for data, fields in manifests]
    return encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed, **more})


def artifact(subject, kind):
    """An artifact that refers to `subject`, the bytes of an image manifest. Its kind is the media type of its configuration,
    the form that older registries understand too."""
    return encode(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(b"{}", kind),
            "layers": [descriptor(b"{}", EMPTY)],
            "subject": descriptor(subject, MANIFEST),
            "annotations": {"org.example.kind": kind},
        }
    )


def encode(value):
    return json.dumps(value, indent=1).encode()
