"""A client that sees everything: status, headers, body, and whether the body was complete."""

import http.client
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

PATIENCE = 20
"""Seconds without a byte after which an answer counts as missing."""


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    complete: bool


def fetch(url, headers=None, method="GET"):
    """The whole answer; what the server says when it breaks off is kept."""
    connection, response = begin(url, headers, method)
    try:
        return Answer(response.status, response.headers, response.read(), True)
    except http.client.IncompleteRead as cut:
        return Answer(response.status, response.headers, cut.partial, False)
    except (OSError, http.client.HTTPException):
        return Answer(response.status, response.headers, b"", False)
    finally:
        connection.close()


def begin(url, headers=None, method="GET", receive_buffer=None):
    """An answer of which only the head was read: the caller reads on, or leaves."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=PATIENCE)
    if receive_buffer:
        connection.sock = small_socket(at, receive_buffer)
    connection.request(method, at.path + (f"?{at.query}" if at.query else ""), headers=headers or {})
    return connection, connection.getresponse()


def small_socket(at, receive_buffer):
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(PATIENCE)
    sock.connect((at.hostname, at.port))
    return sock


def leave(connection, response):
    """Hangs up in the middle of the answer."""
    response.close()
    connection.close()
