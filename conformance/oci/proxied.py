"""The suite before a repository that mirrors an upstream's: read-only."""

from pathlib import Path

import own
import suite
import upstreams
from judge import Judge
from rig import lab, mirrors

PASSES = [("referrers", upstreams.plain, False), ("tag-schema", upstreams.debian, True)]


def check(mirror, versions):
    judge = Judge(Path(__file__).with_name("expected-skips.txt"))
    for name, start, tag_schema in PASSES:
        for version in versions:
            place = lab.folder("oci", mirror, f"{name}-{version}", fresh=True)
            judge(f"{mirror}, OCI {version}, upstream with {name}", one(mirror, start, tag_schema, version, place))
    return judge.passed, judge.wrong


def one(mirror, start, tag_schema, version, place):
    """A fresh upstream, filled, a fresh mirror before it, and the suite of one version against the mirror."""
    upstream = start(place)
    try:
        upstream.wait_open()
        loaded = upstreams.fill(upstream.url, tag_schema)
        server = mirrors.by_name(mirror).start(place, mirrors.Setting(origin=upstream.url))
        try:
            server.wait_open()
            results = suite.pulled(server, version, loaded, upstreams.REPOSITORY, place)
            return results + own.check(server, upstreams.REPOSITORY, loaded)
        finally:
            server.stop()
    finally:
        upstream.stop()
