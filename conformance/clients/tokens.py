#!/usr/bin/env python3
"""Token service of the stand-in for Docker Hub: grants anonymous pull of whatever is asked, for five minutes.

    tokens.py --listen HOST:PORT --tls-cert FILE --tls-key FILE --cert FILE --key FILE

Standard library and the `openssl` command. `--key` signs the tokens, `--cert` is its certificate: the registry trusts it.
One line of standard output per token: its scopes and the client's User-Agent.
"""

import argparse
import base64
import json
import ssl
import subprocess
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LIFETIME = 300


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def granted(scopes):
    """The pull part of each `type:name:actions`; one parameter may hold several, separated by spaces."""
    for scope in " ".join(scopes).split():
        kind, rest = scope.split(":", 1)
        name, actions = rest.rsplit(":", 1)
        yield {"type": kind, "name": name, "actions": [action for action in actions.split(",") if action == "pull"]}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        now = int(time.time())
        scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
        token = self.server.sign({
            "iss": "auth.docker.io", "aud": "registry.docker.io", "sub": "", "jti": str(uuid.uuid4()),
            "iat": now, "nbf": now - 10, "exp": now + LIFETIME,
            "access": list(granted(scopes)),
        })
        body = json.dumps({"token": token, "access_token": token, "expires_in": LIFETIME}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print("token for", *scopes, "to", self.headers.get("User-Agent"), flush=True)

    def log_message(self, *_):
        pass


class TokenServer(ThreadingHTTPServer):
    def __init__(self, options):
        host, port = options.listen.rsplit(":", 1)
        super().__init__((host, int(port)), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
        # The handshake happens in the connection's own thread: a client that is slow there holds nobody up.
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.key = options.key
        with open(options.cert, encoding="ascii") as file:
            self.chain = [base64.b64encode(ssl.PEM_cert_to_DER_cert(file.read())).decode()]

    def sign(self, claims):
        head = {"typ": "JWT", "alg": "RS256", "x5c": self.chain}
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
        command = ["openssl", "dgst", "-sha256", "-sign", self.key]
        signature = subprocess.run(command, input=signed.encode(), stdout=subprocess.PIPE, check=True).stdout
        return f"{signed}.{base64url(signature)}"


def main():
    parser = argparse.ArgumentParser()
    for name in ("listen", "tls-cert", "tls-key", "cert", "key"):
        parser.add_argument(f"--{name}", required=True)
    TokenServer(parser.parse_args()).serve_forever()


if __name__ == "__main__":
    main()
