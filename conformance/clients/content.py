#!/usr/bin/env python3
"""Content host of the stand-in for Docker Hub: where the registry's redirects lead, as on the real one.

    content.py --listen HOST:PORT --tls-cert FILE --tls-key FILE --root FOLDER

Serves the files below FOLDER, whole or one range of them. One line of standard output per answer.
"""

import argparse
import os
import re
import shutil
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = os.path.realpath(self.server.root + urlsplit(self.path).path)
        if not path.startswith(self.server.root + "/") or not os.path.isfile(path):
            self.send_error(404)
            return
        with open(path, "rb") as file:
            size = os.path.getsize(path)
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first = int(asked[1]) if asked else 0
            last = min(int(asked[2]), size - 1) if asked and asked[2] else size - 1
            if asked and first > last:
                self.send_error(416)
                return
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(last - first + 1))
            self.end_headers()
            if self.command == "HEAD":
                return
            file.seek(first)
            if last == size - 1:
                shutil.copyfileobj(file, self.wfile)
            else:
                self.wfile.write(file.read(last - first + 1))

    do_HEAD = do_GET

    def log_message(self, template, *arguments):
        print(template % arguments, self.headers.get("User-Agent"), flush=True)


class ContentServer(ThreadingHTTPServer):
    def __init__(self, options):
        host, port = options.listen.rsplit(":", 1)
        super().__init__((host, int(port)), Handler)
        self.root = os.path.realpath(options.root)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
        # The handshake happens in the connection's own thread: a client that is slow there holds nobody up.
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)


def main():
    parser = argparse.ArgumentParser()
    for name in ("listen", "tls-cert", "tls-key", "root"):
        parser.add_argument(f"--{name}", required=True)
    ContentServer(parser.parse_args()).serve_forever()


if __name__ == "__main__":
    main()
