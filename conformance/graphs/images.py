"""Images for the registries: bases, runtimes on them, applications on those, for several platforms, with versions that moved."""

import io
import tarfile

from rig import content
from rig.push import Pusher

CREATED = "2024-05-0{day}T00:00:00Z"


def layer(name):
    data = content.noise(2_000 + len(name), name)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo(name.replace("/", "-"))
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def image(registry, repository, names, *tags, day=1, **more):
    """An image of these layers, pushed under its tags. Gives its bytes."""
    layers = [layer(name) for name in names]
    config = content.encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": CREATED.format(day=day),
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [content.digest(data) for data in layers]},
        }
    )
    manifest = content.image(layers, config, **more)
    to = Pusher(registry, repository)
    for data in [*layers, config]:
        to.blob(data)
    for tag in tags or (None,):
        to.manifest(manifest, content.MANIFEST, tag)
    return manifest


def index(registry, repository, children, tag):
    """An index over images that were pushed, the platforms by their position."""
    platforms = ["amd64", "arm64", "s390x"]
    listed = [(data, {"platform": {"architecture": name, "os": "linux"}}) for data, name in zip(children, platforms)]
    manifest = content.index(listed)
    Pusher(registry, repository).manifest(manifest, content.INDEX, tag)
    return manifest


def fill(registry):
    """Some dozens of images: three bases, nine runtimes, twenty-seven applications, one for three platforms, and what refers to one."""
    count = 0
    for base in range(3):
        image(registry, f"base/os{base}", [f"os{base}"], f"{base}.0", "latest", day=1)
        for runtime in range(3):
            on = [f"os{base}", f"runtime{base}{runtime}"]
            image(registry, f"runtime/r{base}{runtime}", on, f"1.{runtime}.0", f"1.{runtime}.1", day=2)
            for app in range(3):
                name = f"app{base}{runtime}{app}"
                image(registry, f"app/{name}", [*on, name, "shared/tools"], "1.0.0", "1.1.0", day=3)
                count += 1
            count += 1
        count += 1
    children = [image(registry, "app/multi", ["os0", f"multi-{name}"], day=4) for name in ("a", "b", "c")]
    index(registry, "app/multi", children, "1")
    # What refers to an image has no tag: nobody learns of it by looking at tags.
    return count + 4, artifact(registry, "app/multi", children[0])


def artifact(registry, repository, subject):
    kind = "application/vnd.example.sbom"
    to = Pusher(registry, repository)
    to.blob(b"{}")
    return to.manifest(content.artifact(subject, kind), content.MANIFEST)
