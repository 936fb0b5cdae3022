"""A pusher of a few lines, for filling the registries that stand behind the mirrors."""

import http.client
from urllib.parse import quote, urlsplit

from .content import digest


class Pusher:
    """Pushes into one repository of a registry that takes pushes without asking who comes."""

    def __init__(self, registry, repository):
        self.host, self.repository = urlsplit(registry).netloc, repository

    def blob(self, data, algorithm="sha256"):
        name = digest(data, algorithm)
        status, headers = self._send("POST", f"/v2/{self.repository}/blobs/uploads/", b"")
        if status != 202:
            raise RuntimeError(f"upload of {name} was not begun: {status}")
        place = urlsplit(headers["Location"])
        query = f"{place.query}&digest={quote(name)}" if place.query else f"digest={quote(name)}"
        status, _ = self._send("PUT", f"{place.path}?{query}", data, "application/octet-stream")
        if status != 201:
            raise RuntimeError(f"blob {name} was not taken: {status}")
        return name

    def manifest(self, data, media_type, reference=None):
        """Pushes under `reference`, a tag, or else under its digest."""
        name = digest(data)
        status, _ = self._send("PUT", f"/v2/{self.repository}/manifests/{reference or name}", data, media_type)
        if status != 201:
            raise RuntimeError(f"manifest {reference or name} was not taken: {status}")
        return name

    def _send(self, method, path, body, media_type=None):
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            headers = {"Content-Length": str(len(body))}
            if media_type:
                headers["Content-Type"] = media_type
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers
        finally:
            connection.close()
