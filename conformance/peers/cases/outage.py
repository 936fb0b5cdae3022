"""A registry that is down, or has had enough of us."""

import time

from .world import expect, expect_bytes

STALE = 1.5
"""Seconds after which what the mirrors hold here is no longer fresh."""


def cached_tag_while_dead(world):
    """A cached tag is served while the registry is dead"""
    data, by_tag, _ = world.manifest()
    world.open()
    expect_bytes(world.get(by_tag), data)
    time.sleep(STALE)
    world.origin.stop()
    expect_bytes(world.get(by_tag), data)


def cached_tag_while_limited(world):
    """A cached tag is served while the registry answers 429"""
    data, by_tag, _ = world.manifest()
    world.open()
    expect_bytes(world.get(by_tag), data)
    time.sleep(STALE)
    world.origin.status = 429
    for _ in range(3):
        expect_bytes(world.get(by_tag), data)


def starts_while_dead(world):
    """It starts while the registry is down, and serves once that is back"""
    data, by_tag, _ = world.manifest()
    world.origin.stop()
    world.open()
    world.get(by_tag)
    world.origin.start()
    for _ in range(40):
        answer = world.get(by_tag)
        if answer.status == 200:
            break
        time.sleep(0.5)
    expect_bytes(answer, data)


def tag_list_while_dead(world):
    """A tag list survives an outage"""
    path = world.tags(["v1", "v2"])
    world.open()
    first = world.get(path)
    expect(first.status == 200, f"answered {first.status}")
    time.sleep(STALE)
    world.origin.stop()
    again = world.get(path)
    expect(again.status == 200, f"answered {again.status}")
    expect(again.body == first.body, "another list than before")


CASES = [cached_tag_while_dead, cached_tag_while_limited, starts_while_dead, tag_list_while_dead]
