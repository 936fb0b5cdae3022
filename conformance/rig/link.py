"""An HTTP proxy between a program and a server: it notes every request, and fails on purpose."""

import http.client
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from .origin import Server
from .process import free_port

SLICE = 256 * 1024
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection"}


@dataclass
class Seen:
    """A request, and how it was answered: None while it was not, or never."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int | None = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def take(self):
        link, (path, _, query) = self.server.link, self.path.partition("?")
        seen = Seen(self.command, path, query, {name.lower(): value for name, value in self.headers.items()})
        link.log.append(seen)
        if link.silent:
            return self.never(link)
        refusal = link.status or link.refused.get(self.command)
        if refusal:
            self.drain()
            seen.status = refusal
            return self.refuse(refusal)
        self.forward(link, seen)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_OPTIONS = take

    def never(self, link):
        """Holds the connection until the fault is over, and then drops it."""
        while link.silent and link.is_open():
            time.sleep(0.05)
        self.close_connection = True

    def refuse(self, status):
        text = b"" if self.command == "HEAD" else b"<Error><Code>Refused</Code><Message>on purpose</Message></Error>"
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def drain(self):
        for _ in self.body(None):
            pass

    def forward(self, link, seen):
        at = urlsplit(link.target)
        upstream = http.client.HTTPConnection(at.hostname, at.port, timeout=120)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    upstream.putheader(name, value)
            chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
            if chunked:
                upstream.putheader("Transfer-Encoding", "chunked")
            upstream.endheaders(self.body(link.rate), encode_chunked=chunked)
            answer = upstream.getresponse()
            time.sleep(link.delay)
            seen.status = answer.status
            self.pass_on(answer, link)
        except (OSError, http.client.HTTPException):
            # The server went away, or the program did: either is cut off from the other.
            self.close_connection = True
        finally:
            upstream.close()

    def body(self, rate):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            yield from self.chunks()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(SLICE, left))
            if not piece:
                raise ConnectionError("the program left in the middle of a body")
            left -= len(piece)
            if rate:
                time.sleep(len(piece) / rate)
            yield piece

    def chunks(self):
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def pass_on(self, answer, link):
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        bare = self.command == "HEAD" or answer.status in (204, 304)
        framed = answer.getheader("Content-Length") is not None
        if not bare and not framed:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if bare:
            return
        while piece := answer.read(SLICE):
            if link.rate:
                time.sleep(len(piece) / link.rate)
            self.wfile.write(piece if framed else b"%x\r\n%b\r\n" % (len(piece), piece))
        if not framed:
            self.wfile.write(b"0\r\n\r\n")


@dataclass
class Link:
    """Stands on `url` for the server at `target`. Everything but the host of the connection is passed on as it came, `Host` too,
    so that signatures stay right."""

    handler = Handler
    """Takes the requests of a connection; heirs may have another one."""
    target: str
    port: int = field(default_factory=free_port)
    status: int | None = None
    """When set, every request is answered with this status, and the server hears nothing."""
    refused: dict[str, int] = field(default_factory=dict)
    """Requests of these methods are answered with the status given."""
    silent: bool = False
    """Requests are taken and never answered."""
    delay: float = 0.0
    """Seconds before an answer begins."""
    rate: int | None = None
    """Bytes of bodies per second, either way."""
    log: list[Seen] = field(default_factory=list)

    def open(self):
        self.server = Server(("127.0.0.1", self.port), self.handler)
        self.server.link = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def close(self):
        """Connections are cut, and new ones refused, until it is opened again."""
        if self.is_open():
            server, self.server = self.server, None
            server.shutdown()
            server.server_close()
            server.cut_all()

    def is_open(self):
        return getattr(self, "server", None) is not None

    def heal(self):
        """No fault any more."""
        self.status, self.refused, self.silent, self.delay, self.rate = None, {}, False, 0.0, None
        if not self.is_open():
            self.open()

    def __enter__(self):
        return self.open()

    def __exit__(self, *_):
        self.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def count(self, method, path):
        """How often a path was asked for in this way."""
        return sum(1 for seen in list(self.log) if (seen.method, seen.path) == (method, path))
