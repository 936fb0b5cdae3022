"""Clients that are sent to the bucket."""

import re

import engines
from images import KIB, MIB
from rig import client
from rig.edge import hit
from rig.expectation import expect, expect_bytes

REDIRECT = '[redirect]\nmode = "{}"\nabove = "1 MiB"\nexpires = "15m"\n'
SIZES = [5 * MIB, 2 * MIB, 100 * KIB]
SIGNATURES = re.compile(r"((?:X-Amz-Signature|sig)=)(.)")


def large_blobs_are_redirected(scene):
    """A blob above the size is a 307 to the bucket, whose URL works as a whole and in ranges; a smaller one is served"""
    image, edge = filled(scene, "large")
    *large, small = image.layers()
    expect_bytes(edge.get(image.blob(small)), image.blobs[small])
    for name in large:
        data = image.blobs[name]
        answer = edge.get(image.blob(name))
        expect(answer.status == 307, f"{len(data)} bytes were answered {answer.status}, not 307")
        place = answer.headers["Location"]
        expect(place.startswith(scene.link.url + "/"), f"leads to {place}")
        expect_bytes(client.fetch(place), data)
        expect_bytes(client.fetch(place, {"Range": "bytes=1000-1999"}), data[1000:2000], status=206)
        ranged = edge.get(image.blob(name), Range="bytes=1000-1999")
        if ranged.status == 307:
            ranged = client.fetch(ranged.headers["Location"], {"Range": "bytes=1000-1999"})
        expect_bytes(ranged, data[1000:2000], status=206)
        asked = edge.get(image.blob(name), X_Harbinger_No_Redirect="1")
        expect_bytes(asked, data)
        expect(hit(asked), f"said Cache-Status: {asked.headers['Cache-Status']}")


def urls_cannot_be_forged(scene):
    """A URL with another signature, or with another blob's name, is refused by the store"""
    image, edge = filled(scene, "large")
    first, second, _ = image.layers()
    place = edge.get(image.blob(first)).headers["Location"]
    expect(place and SIGNATURES.search(place), f"there is no signature in {place}")
    other = SIGNATURES.sub(lambda found: found[1] + ("B" if found[2] != "B" else "C"), place)
    if "X-Amz" in place:
        other = SIGNATURES.sub(lambda found: found[1] + ("0" if found[2] != "0" else "1"), place)
    for forged in (other, place.replace(first[7:], second[7:])):
        expect(forged != place, "nothing was forged")
        answer = client.fetch(forged)
        expect(answer.status == 403, f"a forged URL was answered {answer.status}")


def nobody_is_redirected_unasked(scene):
    """With "never", the default, nobody is sent to the bucket; with "always", everybody"""
    image, edge = filled(scene, "never")
    for name, data in image.blobs.items():
        expect_bytes(edge.get(image.blob(name)), data)
    always = scene.edge("always", more=REDIRECT.format("always"))
    scene.pull_through_redirects(always, image)
    answer = always.get(image.blob(image.layers()[-1]))
    expect(answer.status == 307, f"with always, 100 KiB were answered {answer.status}")


def containerd_follows(scene):
    """containerd pulls an image through redirects"""
    image, edge = filled(scene, "large")
    with engines.containerd(scene.place, edge) as ctr:
        before = len(scene.link.log)
        ctr.pull(image)
        followed(scene, image, before)


def podman_follows(scene):
    """podman pulls an image through redirects"""
    image, edge = filled(scene, "large")
    before = len(scene.link.log)
    engines.podman(scene.place, edge, image)
    followed(scene, image, before)


def served_where_nothing_can_be_signed(scene):
    """A bucket whose URLs cannot be signed: large blobs are served as before"""
    image, edge = filled(scene, "large")
    for name, data in image.blobs.items():
        expect_bytes(edge.get(image.blob(name)), data)


def filled(scene, mode):
    """An image that is in the bucket, and an edge that redirects."""
    image = scene.image(*SIZES)
    edge = scene.edge("a", more=REDIRECT.format(mode))
    scene.pull_through_redirects(edge, image)
    scene.arrive(edge, image)
    return image, edge


def followed(scene, image, before):
    """Each large layer was read at the bucket by a signed URL."""
    signed = [seen.path for seen in scene.link.log[before:] if seen.method == "GET" and SIGNATURES.search(seen.query)]
    for name in image.layers()[:2]:
        expect(any(name[7:] in path for path in signed), f"nobody was sent to the bucket for {name}")


ALL = [nobody_is_redirected_unasked, large_blobs_are_redirected]
CHECKED = [urls_cannot_be_forged, containerd_follows, podman_follows]


def cases(kind):
    if not kind.SIGNS:
        return [served_where_nothing_can_be_signed]
    return ALL + (CHECKED if kind.CHECKS else [])
