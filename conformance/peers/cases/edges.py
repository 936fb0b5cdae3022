"""Who is asked for what, and who is told what."""

import socket
import ssl

from rig import content
from rig.origin import Resource

from .world import REPOSITORY, expect, expect_bytes


def source_host_routes(world):
    """`ns` leads to a second registry; an unknown one leads nowhere"""
    second = world.another()
    data, by_tag, _ = world.manifest()
    other, _, _ = world.manifest(origin=second, seed=2)
    world.open(second=second.url)
    expect_bytes(world.get(by_tag + "?ns=docker.io"), data)
    expect_bytes(world.get(by_tag + "?ns=second.test"), other)
    # Both are asked for other things meanwhile, by whoever fetches ahead: this one only the case asks for.
    _, nowhere, _ = world.manifest(tag="nowhere", seed=3)
    world.manifest(tag="nowhere", origin=second, seed=3)
    answer = world.get(nowhere + "?ns=unknown.test")
    expect(answer.status >= 400, f"answered {answer.status} for an unknown registry")
    asked = [path for _, path, _ in world.origin.log + second.log if path == nowhere]
    expect(not asked, "asked a registry that was not meant")


def tls_hello_is_cut(world):
    """A TLS hello on the plain port is hung up on at once"""
    world.open()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="mirror.test").do_handshake()
    except ssl.SSLWantReadError:
        pass
    with socket.create_connection(("127.0.0.1", world.server.port), timeout=2) as sock:
        sock.sendall(outgoing.read())
        try:
            while sock.recv(4096):
                pass
        except TimeoutError:
            expect(False, "the client waits")
        except ConnectionResetError:
            pass


def secrets_stay_home(world):
    """Authorization does not follow a redirect to another host"""
    world.origin.credentials = ("mirror", "secret")
    # Another address, not only another port: some HTTP clients take ports of one address for one host.
    storage = world.another(address="127.0.0.2")
    data = content.noise(1 << 20, seed=7)
    digest = content.digest(data)
    path = f"/v2/{REPOSITORY}/blobs/{digest}"
    storage.resources["/storage"] = Resource(data)
    world.origin.resources[path] = Resource(data, redirect=storage.url + "/storage")
    world.open(credentials=world.origin.credentials)
    expect_bytes(world.get(path), data)
    told = [headers["authorization"] for _, _, headers in storage.log if "authorization" in headers]
    expect(not told, "sent Authorization to the other host")
    expect(any("authorization" in headers for _, _, headers in world.origin.log), "never used its credentials")


CASES = [source_host_routes, tls_hello_is_cut, secrets_stay_home]
