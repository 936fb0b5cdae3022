"""What is delivered is what was asked for."""

import time

from .world import expect, expect_bytes


def wrong_blob_never_complete(world):
    """A blob whose bytes are wrong is never delivered complete"""
    data, path = world.blob()
    world.origin.resources[path].data = bytes(len(data))
    world.open()
    for _ in range(2):
        answer = world.get(path)
        expect(not (answer.status == 200 and answer.complete), "wrong bytes, delivered complete")


def wrong_manifest_refused(world):
    """A manifest whose bytes do not match its digest is refused"""
    data, _, by_digest = world.manifest()
    world.origin.resources[by_digest].data = data.replace(b"amd64", b"arm64").replace(b"config", b"konfig")
    world.open()
    answer = world.get(by_digest)
    expect(answer.status >= 400, f"answered {answer.status} with wrong bytes")


def truncation_is_healed(world):
    """A registry that breaks off in the middle is resumed, unseen by the client"""
    data, path = world.blob()
    world.origin.resources[path].cut_once_at = len(data) // 2
    world.open()
    expect_bytes(world.get(path), data)


def head_transfers_nothing(world):
    """HEAD of a blob that is not cached transfers no blob"""
    data, path = world.blob()
    world.open()
    answer = world.head(path)
    expect(answer.status == 200, f"answered {answer.status}")
    expect(answer.headers["Content-Length"] == str(len(data)), f"said Content-Length: {answer.headers['Content-Length']}")
    time.sleep(0.5)
    gets = world.origin.count("GET", path)
    expect(gets == 0, f"{gets} GETs")


def gzip_is_not_passed_on(world):
    """A client that offers gzip gets the blob's own bytes, with their length"""
    data, path = world.blob(compress=True)
    world.open()
    answer = world.get(path, Accept_Encoding="gzip")
    expect_bytes(answer, data)
    expect("Content-Encoding" not in answer.headers, f"said Content-Encoding: {answer.headers['Content-Encoding']}")
    expect(answer.headers["Content-Length"] == str(len(data)), f"said Content-Length: {answer.headers['Content-Length']}")


CASES = [wrong_blob_never_complete, wrong_manifest_refused, truncation_is_healed, head_transfers_nothing, gzip_is_not_passed_on]
