"""One transfer for everybody."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from rig import client

from .world import MB, expect, expect_bytes


def one_get_for_fifty(world):
    """50 clients ask for one cold blob: the registry sees one GET"""
    gate = Event()
    data, path = world.blob(gate=gate)
    world.open()
    with ThreadPoolExecutor(50) as clients:
        answers = [clients.submit(world.get, path) for _ in range(50)]
        # Until all have asked, the transfer stands still after its first bytes.
        time.sleep(1.5)
        gate.set()
        for answer in answers:
            expect_bytes(answer.result(), data)
    gets = world.origin.count("GET", path)
    expect(gets == 1, f"{gets} GETs")


def cold_parallel_ranges(world):
    """Cold open ranges in parallel, each left early, are 206 and share one GET"""
    data, path = world.blob(pace=8 * MB)
    world.open()

    def piece(first):
        connection, response = client.begin(world.server.url + path, {"Range": f"bytes={first}-"})
        expect(response.status == 206, f"answered {response.status} to an open range")
        said = response.headers["Content-Range"]
        expect(said == f"bytes {first}-{len(data) - 1}/{len(data)}", f"said Content-Range: {said}")
        wanted = data[first : first + MB // 2]
        expect(response.read(len(wanted)) == wanted, "wrong bytes in a range")
        client.leave(connection, response)

    with ThreadPoolExecutor(4) as clients:
        list(clients.map(piece, range(0, len(data), 2 * MB)))
    expect_bytes(world.get(path), data)
    gets = world.origin.count("GET", path)
    expect(gets == 1, f"{gets} GETs")


def cold_suffix_range(world):
    """A cold range counted from the end is right"""
    data, path = world.blob()
    world.open()
    answer = world.get(path, Range="bytes=-500")
    expect_bytes(answer, data[-500:], status=206)
    said = answer.headers["Content-Range"]
    expect(said == f"bytes {len(data) - 500}-{len(data) - 1}/{len(data)}", f"said Content-Range: {said}")


def leaver_wastes_nothing(world):
    """A client that leaves does not cancel the transfer for the next one"""
    data, path = world.blob(pace=8 * MB)
    world.open()
    connection, response = client.begin(world.server.url + path)
    response.read(64 * 1024)
    client.leave(connection, response)
    time.sleep(2)
    expect_bytes(world.get(path), data)
    gets = world.origin.count("GET", path)
    expect(gets == 1, f"{gets} GETs")


def slow_reader_harms_nobody(world):
    """A client that stops reading holds up nobody"""
    data, path = world.blob(size=48 * MB)
    world.open()
    connection, response = client.begin(world.server.url + path, receive_buffer=4096)
    response.read(1024)
    time.sleep(0.5)
    try:
        expect_bytes(world.get(path), data)
    finally:
        client.leave(connection, response)


CASES = [one_get_for_fifty, cold_parallel_ranges, cold_suffix_range, leaver_wastes_nothing, slow_reader_harms_nobody]
