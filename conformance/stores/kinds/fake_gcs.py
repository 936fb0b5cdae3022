"""fake-gcs-server: Google Cloud Storage, for whoever asks."""

import http.client
import json
from urllib.parse import quote, urlsplit

from rig import lab
from rig.process import Process, free_port

from .xml import XmlLink

NAME, LINK, SIGNS, CHECKS = "fake-gcs-server", XmlLink, False, False
MODULE, VERSION = "github.com/fsouza/fake-gcs-server", "v1.52.2"
PACKAGES = []
BUCKET = "conformance"


def start(place, link, packages):
    port = free_port()
    program = lab.go_program(NAME, MODULE, VERSION)
    # It tells a bucket's address from others by the host that its clients name, which is the link's.
    options = ["-scheme", "http", "-host", "127.0.0.1", "-backend", "memory", "-public-host", f"127.0.0.1:{link.port}"]
    return Process(NAME, [program, "-port", str(port), *options], port, place / "fake-gcs-server.log")


class Bucket:
    def __init__(self, server):
        self.host = urlsplit(server.url).netloc
        self._ask("POST", "/storage/v1/b?project=conformance", json.dumps({"name": BUCKET}).encode(), "application/json")

    def keys(self, prefix):
        found, page = [], ""
        while True:
            answer = json.loads(self._ask("GET", f"/storage/v1/b/{BUCKET}/o?prefix={quote(prefix, safe='')}&pageToken={quote(page, safe='')}"))
            found += [entry["name"] for entry in answer.get("items", [])]
            page = answer.get("nextPageToken")
            if not page:
                return found

    def read(self, key):
        return self._ask("GET", f"/storage/v1/b/{BUCKET}/o/{quote(key, safe='')}?alt=media")

    def write(self, key, data):
        path = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={quote(key, safe='')}"
        self._ask("POST", path, data, "application/octet-stream")

    def _ask(self, method, path, body=None, media_type=None):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": media_type} if media_type else {})
            answer = connection.getresponse()
            data = answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {data[:200]!r}")
            return data
        finally:
            connection.close()


def configuration(link, prefix):
    return f"""[storage.object]
url = "gs://{BUCKET}/{prefix}"
endpoint = "{link.url}"
anonymous = true
lookup_timeout = "200ms"
"""
