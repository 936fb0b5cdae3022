"""What has to be there when a server is killed and started again."""

from rig import content
from rig.push import Pusher
from registry import Registry, equal, judged, with_query

HALF = 300_000


def leave(url, repository, earlier):
    """Pushes an image and begins an upload. Gives what `check` needs, with all that was left before."""
    layer, config = content.noise(50_000, seed=len(repository) + len(earlier or [])), content.config()
    image = content.image([layer], config)
    to = Pusher(url, repository)
    for blob in (layer, config):
        to.blob(blob)
    to.manifest(image, content.MANIFEST, "v1")
    registry = Registry(url)
    open_blob = content.noise(2 * HALF, seed=len(earlier or []) + 1000)
    location = registry.begin(repository)
    location = registry.ask("PATCH", location, open_blob[:HALF]).must(202)["Location"]
    return [*(earlier or []), (repository, image, [layer, config], open_blob, location)]


def check(url, kept):
    """Everything that was left is there; what was begun last is brought to its end."""
    registry = Registry(url)
    results = []
    for repository, image, blobs, open_blob, location in kept:
        results.append(judged(f"survivors/{repository}/image", image_is_there, registry, repository, image, blobs))
    results.append(judged(f"survivors/{repository}/upload", upload_goes_on, registry, repository, open_blob, location))
    return results


def image_is_there(registry, repository, image, blobs):
    equal("manifest", registry.ask("GET", f"/v2/{repository}/manifests/v1").must(200).body, image)
    for blob in blobs:
        equal("blob", registry.ask("GET", f"/v2/{repository}/blobs/{content.digest(blob)}").must(200).body, blob)


def upload_goes_on(registry, repository, blob, location):
    equal("Range", registry.ask("GET", location).must(204)["Range"], f"0-{HALF - 1}")
    more = registry.ask("PATCH", location, blob[HALF:], Content_Range=f"{HALF}-{len(blob) - 1}").must(202)["Location"]
    digest = content.digest(blob)
    registry.ask("PUT", with_query(more, f"digest={digest}")).must(201)
    equal("blob", registry.ask("GET", f"/v2/{repository}/blobs/{digest}").must(200).body, blob)
