"""The official suite: run against one registry, and its printed tree read.

Its exit code says nothing: without pushes it prints the whole result and may then panic while it writes its reports, and
there are failures with which it exits 0. So the tree is what counts, and that the tree is there.
"""

import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field

from rig import lab

MODULE, VERSION = "github.com/opencontainers/distribution-spec/conformance", "v0.0.0-20260831232431-97274622c111"
NODE = re.compile(r"^(?P<indent> *)OCI Conformance Test/?(?P<name>.*): (?P<status>Pass|Skip|Disabled|FAIL|Error|Unknown)$")


@dataclass
class Result:
    """One node of the tree; `notes` is what the suite says of it."""

    name: str
    status: str
    notes: list[str] = field(default_factory=list)
    leaf: bool = True


def pulled(mirror, version, loaded, repository, place):
    """Runs the suite read-only against a repository that is a mirror, and gives its leaves."""
    told = {
        "OCI_REPO1": repository,
        "OCI_REPO2": "library/never-pushed",
        "OCI_API_PUSH": "false",
        "OCI_API_TAGS_DELETE": "false",
        "OCI_API_MANIFESTS_DELETE": "false",
        "OCI_API_BLOBS_DELETE": "false",
        # With manifests that it did not push, its check of this header looks at an empty response: `own.py` does it.
        "OCI_API_MANIFESTS_DIGEST_HEADER": "false",
        "OCI_RO_DATA_TAGS": " ".join(loaded.tags),
        "OCI_RO_DATA_MANIFESTS": " ".join(loaded.manifests),
        "OCI_RO_DATA_BLOBS": " ".join(loaded.blobs),
        "OCI_RO_DATA_REFERRERS": " ".join(loaded.referrers),
    }
    return run(mirror.url, version, told, place)


def pushed(url, version, repositories, sparse, place):
    """Runs the whole suite against a pair of repositories that it pushes to, and gives its leaves."""
    told = {"OCI_REPO1": repositories[0], "OCI_REPO2": repositories[1], "OCI_DATA_SPARSE": "true" if sparse else "false"}
    return run(url, version, told, place)


def run(url, version, told, place):
    """Runs the suite of one spec version. Its reports and everything it printed are kept in `place`."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OCI_")},
        "OCI_REGISTRY": url.removeprefix("http://"),
        "OCI_TLS": "disabled",
        "OCI_VERSION": version,
        "OCI_RESULTS_DIR": str(place),
        **told,
    }
    program = lab.go_program("oci-conformance", MODULE, VERSION)
    done = subprocess.run([program], cwd=place, env=env, capture_output=True, text=True, timeout=600)
    (place / "stdout.txt").write_text(done.stdout)
    (place / "stderr.txt").write_text(done.stderr)
    if "OCI Conformance Result:" not in done.stdout:
        raise RuntimeError(f"the suite printed no result: {done.stderr[-1500:]}")
    return leaves(done.stdout)


def leaves(printed):
    """The leaves of the printed tree, checked against the suite's own counts."""
    tree, _, rest = printed.partition("\nOCI Conformance Result:")
    tree = tree.partition("\nConfiguration:")[0]
    nodes, stack = [], []
    for line in tree.splitlines():
        node = NODE.match(line)
        if not node:
            if nodes and line.lstrip().startswith("- "):
                nodes[-1].notes.append(line.strip()[2:])
            continue
        depth = len(node["indent"])
        stack = [(at, above) for at, above in stack if at < depth]
        found = Result(node["name"], node["status"])
        if stack:
            stack[-1][1].leaf = False
        stack.append((depth, found))
        nodes.append(found)
    found = [node for node in nodes if node.leaf]
    counted = Counter(node.status for node in found)
    for status, count in re.findall(r"^  (Pass|Skip|Disabled|FAIL|Error)\.+: +(\d+)$", rest, re.M):
        # One leaf may stand for several requests, which the suite counts one by one.
        if counted[status] > int(count) or bool(counted[status]) != bool(int(count)):
            raise RuntimeError(f"read {counted[status]} {status} from the tree, the suite counted {count}")
    return found
