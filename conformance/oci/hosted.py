"""The suite before repositories that live in Harbinger: everything, pushes and deletions included."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import released
import survivors
import suite
from judge import Judge
from rig import lab
from rig.process import Process, free_port

AT_ONCE = 8
KILLS = 3


def check(versions):
    judge = Judge(Path(__file__).with_name("expected-skips-hosted.txt"))
    place = lab.folder("oci", "hosted", fresh=True)
    with server(place / "strict", sparse=False) as strict:
        results = suite.pushed(strict.url, versions[0], pair("strict"), False, lab.folder("oci", "hosted", "strict", "report"))
        judge(f"hosted, OCI {versions[0]}, with the defaults", results)
        judge("hosted, as the released suite asks", released.check(strict.url, pair("released")))
    with server(place / "sparse", sparse=True) as sparse:
        for version in versions:
            report = lab.folder("oci", "hosted", "sparse", f"report-{version}")
            results = suite.pushed(sparse.url, version, pair(f"sparse-{version}"), True, report)
            judge(f"hosted, OCI {version}, sparse data", results)
        at_once(sparse.url, versions[-1], place, judge)
    between_kills(versions[-1], place / "kills", judge)
    return judge.passed, judge.wrong


def at_once(url, version, place, judge):
    """Many runs on one server, each with repositories of its own."""
    reports = [lab.folder("oci", "hosted", "at-once", str(number)) for number in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runs = [
            pool.submit(suite.pushed, url, version, pair(f"at-once-{number}"), True, report) for number, report in enumerate(reports)
        ]
        results = [result for run in runs for result in run.result()]
    judge(f"hosted, OCI {version}, {AT_ONCE} runs at once", results)


def between_kills(version, place, judge):
    """Runs on one data folder, whose server is killed after each."""
    kept = None
    for number in range(KILLS + 1):
        with server(place, sparse=True) as running:
            if kept:
                judge(f"hosted, after {number} of {KILLS} kills", survivors.check(running.url, kept))
            kept = survivors.leave(running.url, f"local/kept-{number}", kept)
            results = suite.pushed(running.url, version, pair("killed"), True, lab.folder("oci", "hosted", "kills", f"report-{number}"))
            judge(f"hosted, OCI {version}, run {number + 1} of {KILLS + 1} on one folder", results)
            running.child.kill()
            running.child.wait()


def pair(name):
    return f"local/{name}/one", f"local/{name}/two"


@contextmanager
def server(place, sparse):
    """Harbinger with its defaults, but for what is said; nothing stands behind it."""
    place.mkdir(parents=True, exist_ok=True)
    port = free_port()
    file = place / "harbinger.toml"
    file.write_text(
        f"""[server]
listen = "127.0.0.1:{port}"

[hosted]
missing_references = "{"allow" if sparse else "refuse"}"

[storage]
data = "{place / 'data'}"

[logging]
level = "warn"
access = "off"

[[upstream]]
name = "docker.io"
url = "http://127.0.0.1:9"
"""
    )
    running = Process("harbinger", [lab.harbinger(), "serve", "--config", file], port, place / "log")
    try:
        yield running.wait_open()
    finally:
        running.stop()
