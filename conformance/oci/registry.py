"""Requests to a registry, as plainly as they can be made, and checks of the answers."""

import http.client
import json
from urllib.parse import urlsplit

from suite import Result

CODES = {
    "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED", "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS",
}  # fmt: skip


class Wrong(Exception):
    """An answer is not as it must be."""


class Answer:
    def __init__(self, question, answer):
        self.question, self.status, self.headers, self.body = question, answer.status, answer.headers, answer.read()

    def __getitem__(self, header):
        return self.headers[header]

    def json(self):
        return json.loads(self.body)

    def must(self, *statuses):
        """Sees that the status is one of these and that an error is told as the specification says."""
        if self.status not in statuses:
            raise Wrong(f"{self.question}: {self.status}, not {' or '.join(map(str, statuses))}: {self.body[:200]!r}")
        if 400 <= self.status < 500 and not self.question.startswith("HEAD"):
            code = self.json()["errors"][0]["code"]
            if code not in CODES:
                raise Wrong(f"{self.question}: the code {code} is not in the specification")
        return self


class Registry:
    def __init__(self, url):
        self.host = urlsplit(url).netloc

    def ask(self, method, path, body=None, **headers):
        """`path` may be a Location. Header names are given with _ for -."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        try:
            place = urlsplit(path)
            target = f"{place.path}?{place.query}" if place.query else place.path
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            if body is None and method in ("POST", "PUT", "PATCH"):
                body = b""
            connection.request(method, target, body, named)
            return Answer(f"{method} {target}", connection.getresponse())
        finally:
            connection.close()

    def begin(self, repository):
        return self.ask("POST", f"/v2/{repository}/blobs/uploads/").must(202)["Location"]


def equal(what, found, wanted):
    if found != wanted:
        raise Wrong(f"{what}: {found!r}, not {wanted!r}")


def judged(name, check, *arguments):
    """Runs one check; what it raises is what is wrong."""
    try:
        check(*arguments)
    except (Wrong, OSError, ValueError, KeyError, TypeError, http.client.HTTPException) as error:
        return Result(f"own/{name}", "FAIL", [str(error) or repr(error)])
    return Result(f"own/{name}", "Pass")


def with_query(location, query):
    return f"{location}{'&' if '?' in location else '?'}{query}"
