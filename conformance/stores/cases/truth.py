"""A bucket is not believed."""

from images import KIB, MIB
from rig.edge import until
from rig.expectation import expect, expect_bytes

HEALING = 20
"""Seconds within which the bucket must be right again."""


def flipped(data, _other):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def last_byte_flipped(data, _other):
    return data[:-1] + bytes([data[-1] ^ 0x80])


def truncated(data, _other):
    return data[: len(data) * 2 // 3]


def emptied(_data, _other):
    return b""


def extended(data, _other):
    return data + b"more"


def replaced(data, other):
    """Another content of the same length."""
    return (other * (len(data) // len(other) + 1))[: len(data)]


WRONGS = [flipped, last_byte_flipped, truncated, emptied, extended, replaced]


def wrong_bytes_are_healed(scene):
    """Wrong bytes in the bucket are never delivered complete; within one retry the right ones come, and the bucket is healed"""
    # Some below what is verified whole, some above: two of each size and fault.
    sizes = [size + number for number in range(len(WRONGS)) for size in (3 * MIB, 30 * KIB)]
    image, edge = spoiled(scene, sizes, WRONGS * 2)
    for name, data in image.blobs.items():
        answer = edge.get(image.blob(name))
        never_wrong(answer, data)
        if not (answer.status == 200 and answer.complete):
            expect_bytes(edge.get(image.blob(name)), data)
    healed(scene, image, edge)


def wrong_bytes_in_ranges(scene):
    """Nor are they in a range, asked for before anything else"""
    image, edge = spoiled(scene, [2 * MIB + number for number in range(4)], [flipped, replaced, flipped, truncated])
    for name in image.layers():
        data = image.blobs[name]
        first = len(data) // 2 - 5_000
        wanted = data[first : first + 10_000]
        said = {"Range": f"bytes={first}-{first + len(wanted) - 1}"}
        answer = edge.get(image.blob(name), **said)
        never_wrong(answer, wanted, status=206)
        if not (answer.status == 206 and answer.complete):
            expect_bytes(edge.get(image.blob(name), **said), wanted, status=206)
        expect_bytes(edge.get(image.blob(name)), data)
    healed(scene, image, edge)


def spoiled(scene, sizes, wrongs):
    """An image that an edge brought into the bucket, where each layer is then made wrong; and an edge that has nothing yet."""
    image = scene.image(*sizes)
    first = scene.edge("a")
    scene.pull(first, image)
    scene.arrive(first, image)
    first.stop()
    keys, layers = scene.keys(), image.layers()
    for number, name in enumerate(layers):
        other = image.blobs[layers[number - 1]]
        data = wrongs[number % len(wrongs)](image.blobs[name], other)
        expect(data != image.blobs[name], "the fault is none")
        scene.bucket.write(keys[name], data)
    edge = scene.edge("c")
    expect_bytes(edge.get(image.by_tag()), image.index)
    return image, edge


def never_wrong(answer, data, status=200):
    """An answer may fail, but not be complete with other bytes."""
    if answer.status == status and answer.complete:
        expect(answer.body == data, f"{len(answer.body)} wrong bytes were delivered complete")
    elif answer.status == status:
        expect(answer.body != data, "a whole body was delivered and then cut")
    else:
        expect(answer.status >= 500, f"answered {answer.status}")


def healed(scene, image, edge):
    def right():
        keys = scene.keys()
        return all(name in keys and scene.bucket.read(keys[name]) == data for name, data in image.blobs.items())

    took = until(right, HEALING, 0.3)
    expect(took is not None, f"the bucket is not right again within {HEALING} s")
    scene.say(f"bucket healed {took:.1f} s after the last request; {scene.queue(edge):.0f} wait")


CASES = [wrong_bytes_are_healed, wrong_bytes_in_ranges]
