"""Requests as a client sends them that nobody helps: one try, one connection, and no answer is an outcome too."""

import http.client
import time
from urllib.parse import urlsplit


class Unanswered(Exception):
    """The connection broke before the head of an answer came: the request may have been carried out or not."""


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def size(self):
        """How many bytes an upload has, by the Range of the answer. `0-0` stands for none: nothing here sends a single byte."""
        last = int(self.headers["Range"].removeprefix("bytes=").split("-")[1])
        return last + 1 if last else 0

    @property
    def place(self):
        """Path and query of where the answer points to."""
        place = urlsplit(self.headers["Location"])
        return f"{place.path}?{place.query}" if place.query else place.path


class Wire:
    def __init__(self, url, timeout=30):
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=timeout)

    def ask(self, method, path, body=b"", headers=None, pause=None, length=True):
        """Sends a request. With `pause`, the body comes in pieces with that many seconds between them; without `length`, it
        comes in chunks. A body of the answer that breaks off makes its `body` None."""
        headers = dict(headers or {})
        if length and (body or method not in ("GET", "HEAD")):
            headers["Content-Length"] = str(len(body))
        sent = iter(pieces(body, pause)) if pause is not None or not length else body
        try:
            self._connection.request(method, path, sent or None, headers, encode_chunked=not length)
            answer = self._connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unanswered(f"{method} {path}: {error!r}") from error
        try:
            data = answer.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            data = None
        return Answer(answer.status, answer.headers, data)

    def close(self):
        self._connection.close()


def pieces(body, pause):
    """The body in eight pieces, with pauses, so that a crash finds it under way."""
    step = max(2, len(body) // 8)
    for begin in range(0, len(body), step):
        if begin and pause:
            time.sleep(pause)
        yield body[begin : begin + step]
