"""One bucket, several edges."""

from concurrent.futures import ThreadPoolExecutor

from images import KIB, MIB
from rig import client, content
from rig.expectation import expect, expect_bytes

CLIENTS = 20


def everything_arrives(scene):
    """What is pulled through an edge arrives in the bucket, each content under its digest, large ones in parts"""
    image = scene.image(40 * MIB, 2 * MIB, 300 * KIB, 20 * KIB)
    edge = scene.edge("a")
    scene.pull(edge, image)
    took = scene.arrive(edge, image)
    scene.sound()
    uploads = sum(seen.method in ("PUT", "POST") for seen in list(scene.link.log))
    scene.say(f"all there {took:.1f} s after the pull, {uploads} requests to write so far")


def second_edge_needs_no_origin(scene):
    """A second edge, empty and with the origin gone, serves the image by tag and by digest; each blob left the origin once"""
    image = scene.image(17 * MIB, 3 * MIB, 200 * KIB, 10 * KIB)
    first = scene.edge("a")
    scene.pull(first, image)
    scene.arrive(first, image)
    scene.origin.close()
    second = scene.edge("b")
    scene.pull(second, image)
    by_digest = second.get(image.path("manifests", content.digest(image.index)))
    expect_bytes(by_digest, image.index)
    head = second.get(image.by_tag(), "HEAD")
    expect(head.status == 200, f"HEAD of the tag was answered {head.status}")
    expect(head.headers["Docker-Content-Digest"] == content.digest(image.index), "HEAD of the tag names another digest")
    for name in image.blobs:
        fetched = scene.fetched(image, name)
        expect(fetched == 1, f"the origin was asked {fetched} times for {name}, {len(image.blobs[name])} bytes")


def ranges_from_the_bucket(scene):
    """Ranges of blobs that only the bucket has are right, and a transfer that was left is resumed"""
    image = scene.image(6 * MIB, 5 * MIB, 4 * MIB, 3 * MIB, 100 * KIB)
    first = scene.edge("a")
    scene.pull(first, image)
    scene.arrive(first, image)
    scene.origin.close()
    second = scene.edge("b")
    *large, small = image.layers()
    for name, first_byte, last_byte in [(large[0], 0, 999), (large[1], 2 * MIB, 2 * MIB + 65_999), (small, 50_000, 50_099)]:
        data = image.blobs[name]
        answer = second.get(image.blob(name), Range=f"bytes={first_byte}-{last_byte}")
        expect_bytes(answer, data[first_byte : last_byte + 1], status=206)
        said = answer.headers["Content-Range"]
        expect(said == f"bytes {first_byte}-{last_byte}/{len(data)}", f"said Content-Range: {said}")
    data = image.blobs[large[2]]
    expect_bytes(second.get(image.blob(large[2]), Range="bytes=-500"), data[-500:], status=206)
    resume(second, image, large[3])
    for name, data in image.blobs.items():
        expect_bytes(second.get(image.blob(name)), data)


def resume(edge, image, name):
    data = image.blobs[name]
    connection, response = client.begin(edge.url + image.blob(name))
    part = response.read(MIB)
    client.leave(connection, response)
    expect(part == data[: len(part)], "wrong bytes before the client left")
    expect_bytes(edge.get(image.blob(name), Range=f"bytes={len(part)}-"), data[len(part) :], status=206)


def herd_from_the_bucket(scene):
    """20 clients ask for one blob that only the bucket has: the bucket is read once"""
    image = scene.image(8 * MIB)
    first = scene.edge("a")
    scene.pull(first, image)
    scene.arrive(first, image)
    scene.origin.close()
    second = scene.edge("b")
    expect_bytes(second.get(image.by_tag()), image.index)
    expect_bytes(second.get(image.path("manifests", content.digest(image.manifest))), image.manifest)
    (name,) = image.layers()
    before = len(scene.link.log)
    with ThreadPoolExecutor(CLIENTS) as clients:
        for answer in [clients.submit(second.get, image.blob(name)) for _ in range(CLIENTS)]:
            expect_bytes(answer.result(), image.blobs[name])
    reads = scene.requests({"GET"}, name, before)
    expect(reads == 1, f"the bucket was read {reads} times")


CASES = [everything_arrives, second_edge_needs_no_origin, ranges_from_the_bucket, herd_from_the_bucket]
