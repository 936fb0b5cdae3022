"""What the suite does not look at in content that it did not push itself.

It takes any well-formed list of referrers, and it cannot find the digest header of manifests that are only read (it forgets to
keep the response, so that its own check of that header is switched off in `suite.py`). Both are seen to here.
"""

import json
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from rig import content
from suite import Result


def check(mirror, repository, loaded):
    base = f"{mirror.url}/v2/{repository}"
    references = {**loaded.tags, **{digest: digest for digest in loaded.manifests}}
    results = [judged(f"own/manifest/{kind(name)}", manifest, base, name, digest) for name, digest in references.items()]
    subject, expected = loaded.referrers[0], loaded.artifacts
    wanted = min(expected.values())
    filtered = {digest: other for digest, other in expected.items() if other == wanted}
    url = f"{base}/referrers/{subject}"
    results.append(judged("own/referrers/all", referrers, url, expected, None))
    url += f"?artifactType={quote(wanted, safe='')}"
    results.append(judged("own/referrers/filtered", referrers, url, filtered, "artifactType"))
    return results


def manifest(base, reference, digest):
    """HEAD and GET must name the same digest and length, and the bytes must have them."""
    url = f"{base}/manifests/{reference}"
    with ask(url, "HEAD") as head, ask(url) as answer:
        body = answer.read()
        for said in (head.headers, answer.headers):
            yield expected("Docker-Content-Digest", said["Docker-Content-Digest"], digest)
            yield expected("Content-Length", said["Content-Length"], str(len(body)))
            yield expected("Content-Type", said["Content-Type"], json.loads(body)["mediaType"])
        yield expected("digest of the bytes", content.digest(body), digest)


def referrers(url, artifacts, filters):
    """The list must hold these artifacts, each with its type, and say which filter was applied."""
    with ask(url) as answer:
        listed = {entry["digest"]: entry.get("artifactType") for entry in json.load(answer)["manifests"]}
        yield expected("OCI-Filters-Applied", answer.headers["OCI-Filters-Applied"], filters)
        yield expected("list", listed, artifacts)


def judged(name, question, *arguments):
    try:
        notes = [note for note in question(*arguments) if note]
    except HTTPError as error:
        notes = [f"answered {error.code}"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        notes = [f"no usable answer: {error!r}"]
    return Result(name, "FAIL" if notes else "Pass", notes)


def expected(what, found, wanted):
    return None if found == wanted else f"{what}: {found}, not {wanted}"


def ask(url, method="GET"):
    return urlopen(Request(url, method=method, headers={"Accept": content.ACCEPT}), timeout=20)


def kind(reference):
    return "by-digest" if ":" in reference else "by-tag"
