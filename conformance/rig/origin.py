"""A scripted registry that can fail on purpose: it cuts, corrupts, delays, limits, redirects, compresses, and dies."""

import base64
import gzip
import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLICE = 64 * 1024


@dataclass
class Resource:
    """What a path answers, and what goes wrong with it."""

    data: bytes
    media_type: str = "application/octet-stream"
    digest: str | None = None
    pace: int | None = None
    """Bytes per second."""
    gate: threading.Event | None = None
    """After the first slice of a body nothing more is sent before this is set."""
    cut_once_at: int | None = None
    """The first answer with a body ends, without warning, after so many bytes."""
    compress: bool = False
    """Clients that offer gzip get it."""
    redirect: str | None = None


@dataclass
class Origin:
    """One scripted registry on `address`; it listens between `start` and `stop`."""

    address: str = "127.0.0.1"
    port: int = 0
    credentials: tuple[str, str] | None = None
    status: int | None = None
    """When set, every request is answered with this status."""
    resources: dict[str, Resource] = field(default_factory=dict)
    log: list[tuple[str, str, dict]] = field(default_factory=list)
    """Method, path without query, and headers of every request."""

    def start(self):
        self.server = Server((self.address, self.port), Handler)
        self.server.origin = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        """Closes the port and every connection, in the middle of whatever they do."""
        self.server.shutdown()
        self.server.server_close()
        self.server.cut_all()

    @property
    def url(self):
        return f"http://{self.address}:{self.port}"

    def count(self, method, path):
        return sum(1 for seen, at, _ in self.log if (seen, at) == (method, path))


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def __init__(self, *arguments):
        self.connections = set()
        super().__init__(*arguments)

    def process_request(self, request, client_address):
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def cut_all(self):
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request, client_address):
        """Mirrors that hang up in the middle are normal here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, body):
        origin, path = self.server.origin, self.path.partition("?")[0]
        origin.log.append((self.command, path, {name.lower(): value for name, value in self.headers.items()}))
        if origin.status:
            return self.error(origin.status, "TOOMANYREQUESTS", {"Retry-After": "1"})
        if origin.credentials and self.headers.get("Authorization") != basic(origin.credentials):
            return self.error(401, "UNAUTHORIZED", {"Www-Authenticate": 'Basic realm="scripted"'})
        if path == "/v2/":
            return self.send(200, {"Docker-Distribution-Api-Version": "registry/2.0"}, b"{}", body)
        resource = origin.resources.get(path)
        if not resource:
            return self.error(404, "MANIFEST_UNKNOWN", {})
        if resource.redirect:
            return self.send(307, {"Location": resource.redirect}, b"", body)
        return self.content(resource, body)

    def content(self, resource, body):
        data, status = resource.data, 200
        headers = {"Content-Type": resource.media_type, "Accept-Ranges": "bytes"}
        if resource.digest:
            headers["Docker-Content-Digest"] = resource.digest
            headers["Etag"] = f'"{resource.digest}"'
        if resource.compress and "gzip" in self.headers.get("Accept-Encoding", ""):
            data = gzip.compress(data)
            headers["Content-Encoding"] = "gzip"
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if body else None
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
            status = 206
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data = data[first : last + 1]
        self.send(status, headers, data, body, resource)

    def error(self, status, code, headers):
        data = json.dumps({"errors": [{"code": code, "message": code.lower(), "detail": None}]}).encode()
        self.send(status, {"Content-Type": "application/json", **headers}, data, self.command == "GET")

    def send(self, status, headers, data, body, resource=None):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.body(data, resource)

    def body(self, data, resource):
        end = len(data)
        if resource and resource.cut_once_at is not None:
            end, resource.cut_once_at = min(end, resource.cut_once_at), None
        for at in range(0, end, SLICE):
            if resource and resource.gate and at:
                resource.gate.wait(30)
            if resource and resource.pace:
                time.sleep(SLICE / resource.pace)
            self.wfile.write(data[at : min(at + SLICE, end)])
        if end < len(data):
            self.close_connection = True


def basic(credentials):
    return "Basic " + base64.b64encode(":".join(credentials).encode()).decode()
