"""What the released suite (v1.1.1) looks at and its successor does not, or not as strictly.

That suite cannot be had as a module, but most registries are still judged by it.
"""

import json

from rig import content
from registry import Registry, equal, judged, with_query

BLOB = content.noise(40_000, seed=111)
CONFIG = content.config()


def check(url, repositories):
    registry = Registry(url)
    checks = [malformed_tag, malformed_digest, monolithic, single_post, chunks, stale_locations, cancelled, mounts, pages, referrers, deletions]
    return [judged(f"released/{one.__name__}", one, registry, *repositories) for one in checks]


def push(registry, repository, data):
    location = registry.begin(repository)
    registry.ask("PUT", with_query(location, f"digest={content.digest(data)}"), data).must(201)
    return content.digest(data)


def put(registry, repository, reference, manifest, media_type=content.MANIFEST):
    return registry.ask("PUT", f"/v2/{repository}/manifests/{reference}", manifest, Content_Type=media_type).must(201)


def image(registry, repository, *layers, **more):
    """Pushes the blobs of an image, and gives its manifest."""
    for blob in (CONFIG, *layers):
        push(registry, repository, blob)
    return content.image(layers, CONFIG, **more)


def malformed_tag(registry, repository, _):
    for method in ("GET", "HEAD"):
        registry.ask(method, f"/v2/{repository}/manifests/.INVALID_MANIFEST_NAME").must(404)
    registry.ask("GET", f"/v2/{repository}/manifests/never-pushed").must(404)


def malformed_digest(registry, repository, _):
    manifest = image(registry, repository)
    registry.ask("PUT", f"/v2/{repository}/manifests/sha256:totallywrong", manifest, Content_Type=content.MANIFEST).must(400)
    location = registry.begin(repository)
    registry.ask("PUT", with_query(location, "digest=sha256:baddigeststring"), BLOB).must(400)
    registry.ask("GET", f"/v2/{repository}/blobs/{content.digest(b'never pushed')}").must(404)


def monolithic(registry, repository, _):
    digest = content.digest(BLOB)
    location = registry.begin(repository)
    done = registry.ask("PUT", with_query(location, f"digest={digest}"), BLOB, Content_Type="application/octet-stream").must(201)
    equal("blob", registry.ask("GET", done["Location"]).must(200).body, BLOB)


def single_post(registry, repository, _):
    data = content.noise(1000, seed=112)
    digest = content.digest(data)
    done = registry.ask("POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data).must(201)
    equal("blob", registry.ask("GET", done["Location"]).must(200).body, data)


def chunks(registry, repository, _):
    data = content.noise(10, seed=113)
    location = registry.begin(repository)
    refused = registry.ask("PATCH", location, data[3:], Content_Range="3-9").must(416)
    equal("Range after a refusal", refused["Range"], "0-0")
    first = registry.ask("PATCH", location, data[:3], Content_Range="0-2", Content_Type="application/octet-stream").must(202)
    equal("Range", first["Range"], "0-2")
    registry.ask("PATCH", first["Location"], data[:3], Content_Range="0-2").must(416)
    done = registry.ask("PUT", with_query(first["Location"], f"digest={content.digest(data)}"), data[3:], Content_Range="3-9").must(201)
    equal("blob", registry.ask("GET", done["Location"]).must(200).body, data)


def stale_locations(registry, repository, _):
    begun = registry.begin(repository)
    equal("Range of nothing", registry.ask("GET", begun).must(204)["Range"], "0-0")
    registry.ask("PATCH", begun, BLOB[:100], Content_Range="0-99").must(202)
    stale = registry.ask("GET", begun).must(204)
    equal("Range at a stale location", stale["Range"], "0-99")
    registry.ask("PATCH", stale["Location"], BLOB[100:], Content_Range=f"100-{len(BLOB) - 1}").must(202)
    registry.ask("PUT", with_query(begun, f"digest={content.digest(BLOB)}")).must(201)
    registry.ask("GET", begun).must(404)


def cancelled(registry, repository, _):
    location = registry.begin(repository)
    registry.ask("DELETE", location).must(202, 204)
    registry.ask("GET", location).must(404)


def mounts(registry, one, two):
    data = content.noise(999, seed=114)
    digest = push(registry, one, data)
    for query in (f"mount={digest}&from={one}", f"mount={digest}"):
        done = registry.ask("POST", f"/v2/{two}/blobs/uploads/?{query}").must(201)
        equal("Location of a mount", done["Location"], f"/v2/{two}/blobs/{digest}")
        equal("blob", registry.ask("GET", done["Location"]).must(200).body, data)
        registry.ask("DELETE", done["Location"]).must(202)
        registry.ask("GET", f"/v2/{one}/blobs/{digest}").must(200)
    absent = content.digest(b"nobody has this")
    begun = registry.ask("POST", f"/v2/{two}/blobs/uploads/?mount={absent}&from={one}").must(202)
    registry.ask("GET", begun["Location"]).must(204)


def pages(registry, repository, _):
    repository += "/pages"
    manifest = image(registry, repository)
    tags = [f"test{number}" for number in range(5)]
    for tag in tags:
        put(registry, repository, tag, manifest)
    for count in range(len(tags) + 1):
        listed = registry.ask("GET", f"/v2/{repository}/tags/list?n={count}").must(200).json()["tags"]
        equal(f"tags with n={count}", listed, tags[:count])
    listed = registry.ask("GET", f"/v2/{repository}/tags/list?n=2&last={tags[1]}").must(200).json()["tags"]
    equal("tags after the second", listed, tags[2:4])


def referrers(registry, repository, _):
    manifest = image(registry, repository)
    put(registry, repository, "subject", manifest)
    subject, kinds = content.digest(manifest), ("application/vnd.food.hotdog", "application/vnd.food.salad")
    pushed = {}
    push(registry, repository, b"{}")
    for kind in kinds:
        artifact = json.loads(content.artifact(manifest, kind))
        artifact["annotations"] = {"org.opencontainers.conformance.test": f"a {kind}"}
        artifact = content.encode(artifact)
        done = put(registry, repository, content.digest(artifact), artifact)
        equal("OCI-Subject", done["OCI-Subject"], subject)
        pushed[kind] = artifact
    listing = registry.ask("GET", f"/v2/{repository}/referrers/{subject}").must(200)
    equal("Content-Type", listing["Content-Type"], content.INDEX)
    found = {entry["artifactType"]: entry for entry in listing.json()["manifests"]}
    for kind, artifact in pushed.items():
        wanted = content.descriptor(artifact, content.MANIFEST, artifactType=kind, annotations=json.loads(artifact)["annotations"])
        equal("descriptor", found.get(kind), wanted)
    some = registry.ask("GET", f"/v2/{repository}/referrers/{subject}?artifactType={kinds[0]}").must(200)
    equal("OCI-Filters-Applied", some["OCI-Filters-Applied"], "artifactType")
    equal("filtered", [entry["artifactType"] for entry in some.json()["manifests"]], [kinds[0]])
    equal("of nothing", registry.ask("GET", f"/v2/{repository}/referrers/{content.digest(b'?')}").must(200).json()["manifests"], [])


def deletions(registry, repository, _):
    repository += "/deletions"
    layer = content.noise(500, seed=115)
    manifest = image(registry, repository, layer)
    digest = content.digest(manifest)
    for tag in ("one", "two"):
        put(registry, repository, tag, manifest)
    registry.ask("DELETE", f"/v2/{repository}/manifests/one").must(202)
    registry.ask("GET", f"/v2/{repository}/manifests/one").must(404)
    registry.ask("GET", f"/v2/{repository}/manifests/{digest}").must(200)
    registry.ask("DELETE", f"/v2/{repository}/manifests/{digest}").must(202)
    for reference in (digest, "two"):
        registry.ask("GET", f"/v2/{repository}/manifests/{reference}").must(404)
    equal("tags", registry.ask("GET", f"/v2/{repository}/tags/list").must(200).json()["tags"], [])
    for blob in (layer, CONFIG):
        registry.ask("DELETE", f"/v2/{repository}/blobs/{content.digest(blob)}").must(202)
        registry.ask("GET", f"/v2/{repository}/blobs/{content.digest(blob)}").must(404)
