"""A bucket that fails: it costs a moment once, and what was pulled meanwhile arrives when it is back."""

import threading
import time

from images import KIB, MIB
from rig.edge import until
from rig.expectation import expect
from scene import PATIENCE

SIZES = [900 * KIB, 500 * KIB, 300 * KIB, 200 * KIB, 100 * KIB, 20 * KIB]
LONGEST = 2.0
"""Seconds that no request may take, whatever the bucket does. The budget is far less; this machine may be busy."""


def dead(scene):
    """Nobody listens where the bucket was"""
    during(scene, scene.link.close)


def silent(scene):
    """The bucket takes connections and never answers"""

    def fault():
        scene.link.silent = True

    during(scene, fault)


def unavailable(scene):
    """The bucket answers 503 to everything"""

    def fault():
        scene.link.status = 503

    during(scene, fault)


def slow(scene):
    """The bucket answers after 1.5 s"""

    def fault():
        scene.link.delay = 1.5

    during(scene, fault)


def during(scene, fault):
    """A pull while all is well, another one while the fault is there; then everything arrives."""
    before, image = scene.image(100 * KIB, name="before"), scene.image(*SIZES)
    edge = scene.edge("a")
    scene.pull(edge, before)
    fault()
    seconds = scene.pull(edge, image, at_once=1)
    scene.say(f"first request {seconds[0] * 1000:.0f} ms, later ones " + " ".join(f"{each * 1000:.0f}" for each in seconds[1:]))
    expect(max(seconds) < LONGEST, f"a request took {max(seconds):.1f} s")
    scene.link.heal()
    took = scene.arrive(edge, image)
    scene.arrive(edge, before)
    scene.say(f"all there {took:.1f} s after the bucket was back")


def dies_under_way(scene):
    """The bucket dies while an edge reads from it: the origin's bytes go on where the bucket's ended"""
    image = scene.image(12 * MIB, 100 * KIB)
    first = scene.edge("a")
    scene.pull(first, image)
    scene.arrive(first, image)
    second = scene.edge("b")
    scene.link.rate = 8 * MIB
    begun = time.monotonic()

    def stop():
        until(lambda: scene.requests({"GET"}, image.layers()[0]), 5, 0.02)
        time.sleep(0.4)
        scene.link.close()

    killer = threading.Thread(target=stop)
    killer.start()
    try:
        scene.pull(second, image)
    finally:
        killer.join()
    scene.say(f"pulled in {time.monotonic() - begun:.1f} s")


def full(scene):
    """The bucket is full: pulls go on, what waits is bounded, and what is pulled after it has space again arrives"""
    most = 10
    image = scene.image(*[64 * KIB + number for number in range(30)])
    scene.link.refused = {"PUT": 507, "POST": 507}
    edge = scene.edge("a", object=f"queue_entries = {most}\n")
    scene.pull(edge, image)
    waiting = scene.queue(edge)
    expect(0 < waiting <= most, f"{waiting:.0f} wait for their upload, of at most {most}")
    scene.link.heal()
    took = until(lambda: scene.queue(edge) == 0, PATIENCE)
    expect(took is not None, f"{scene.queue(edge):.0f} still wait")
    scene.sound()
    later = scene.image(200 * KIB, name="later")
    scene.pull(edge, later)
    scene.arrive(edge, later)


def killed_while_they_wait(scene):
    """kill -9 while everything waits for its upload: after a start everything arrives"""
    image = scene.image(*SIZES, 17 * MIB)
    scene.link.close()
    edge = scene.edge("a")
    scene.pull(edge, image)
    waiting = until(lambda: scene.queue(edge) >= len(image.everything()), 5)
    expect(waiting is not None, f"only {scene.queue(edge):.0f} wait")
    edge.kill()
    scene.link.heal()
    scene.origin.close()
    edge.start()
    took = scene.arrive(edge, image)
    scene.say(f"all there {took:.1f} s after the start")


def killed_in_an_upload(scene):
    """kill -9 in the middle of an upload in parts: after a start it arrives, and nothing half is there"""
    image = scene.image(24 * MIB, 100 * KIB)
    edge = scene.edge("a")
    scene.link.rate = 8 * MIB
    before = len(scene.link.log)
    scene.pull(edge, image)
    name = image.layers()[0]
    began = until(lambda: scene.requests({"PUT", "POST"}, name, before), 10)
    expect(began is not None, "its upload does not begin within 10 s")
    time.sleep(1)
    edge.kill()
    scene.sound()
    scene.link.heal()
    scene.origin.close()
    edge.start()
    scene.arrive(edge, image)


CASES = [dead, silent, unavailable, slow, dies_under_way, full, killed_while_they_wait, killed_in_an_upload]
