"""OCI image layouts: folders that every tool here can push from and pull into."""

import json
from pathlib import Path

from rig import content

TAG = "1"
REF_NAME = "org.opencontainers.image.ref.name"


def image(layers, architecture="amd64"):
    """Contents of an image of one platform, its manifest last. Nobody here unpacks the layers."""
    config = json.loads(content.config(architecture))
    config["rootfs"]["diff_ids"] = [content.digest(layer) for layer in layers]
    config = content.encode(config)
    return [*layers, config, content.image(layers, config)]


def multi_arch(seed):
    """Contents of an index, itself last: two platforms that share a layer, and an artifact. Among the blobs are the empty one and `{}`."""
    shared = content.noise(2_000_000, seed)
    amd64, arm64 = (image([shared, content.noise(300_000, seed + at), b""], name) for at, name in ((1, "amd64"), (2, "arm64")))
    artifact = content.artifact(amd64[-1], "application/vnd.example.note")
    platforms = [(one[-1], {"platform": {"architecture": name, "os": "linux"}}) for one, name in ((amd64, "amd64"), (arm64, "arm64"))]
    index = content.index([*platforms, (artifact, {"artifactType": "application/vnd.example.note"})])
    return [*amd64, *arm64, b"{}", artifact, index]


def plain(seed):
    """Contents of an index of two platforms in the very form in which Go writes it: older tools keep the bytes of no other."""
    images = {name: image([content.noise(400_000, seed + at)], name) for at, name in enumerate(("amd64", "arm64"))}
    listed = [content.descriptor(one[-1], content.MANIFEST, platform={"architecture": name, "os": "linux"}) for name, one in images.items()]
    index = json.dumps({"schemaVersion": 2, "mediaType": content.INDEX, "manifests": listed}, separators=(",", ":")).encode()
    return [*images["amd64"], *images["arm64"], index]


def write(folder, contents):
    """A layout whose one tag names the last of the contents; gives its digest."""
    blobs = Path(folder) / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for data in contents:
        (blobs / content.digest(data).removeprefix("sha256:")).write_bytes(data)
    top = contents[-1]
    named = content.descriptor(top, json.loads(top)["mediaType"], annotations={REF_NAME: TAG})
    (Path(folder) / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (Path(folder) / "index.json").write_bytes(content.encode({"schemaVersion": 2, "manifests": [named]}))
    return named["digest"]


def holds(folder):
    """The digests of all that a layout has, each seen to by hashing, and of what its tag leads to. Some tools list more than that, and
    crane writes no tag."""
    files = (Path(folder) / "blobs" / "sha256").iterdir()
    listed = json.loads((Path(folder) / "index.json").read_bytes())["manifests"]
    tagged = [one for one in listed if one.get("annotations", {}).get(REF_NAME) == TAG] or listed
    return {content.digest(file.read_bytes()) for file in files}, {one["digest"] for one in tagged}
