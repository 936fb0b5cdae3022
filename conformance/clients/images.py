#!/usr/bin/env python3
"""Fills a registry with generated images and writes down what a client must end up with.

    images.py --set origin|hub|other --registry HOST:PORT --arch amd64 --busybox /bin/busybox --facts FILE

Standard library only. The bytes depend on the names alone: layers are packed by hand in stored (uncompressed) gzip and zstd
blocks, so digests are the same whatever the version of Python and zlib; only `busybox` follows the machine's own binary.

FILE gets one line per image and platform, tab-separated:
    set  name  arch  digest-of-the-tag  manifest  config  blob,blob,...     (the config is among the blobs)
"""

import argparse
import hashlib
import http.client
import io
import json
import random
import struct
import tarfile
import zlib

KIB, MIB = 1024, 1024 * 1024
TAG = "1"

OCI = {
    "manifest": "application/vnd.oci.image.manifest.v1+json",
    "index": "application/vnd.oci.image.index.v1+json",
    "config": "application/vnd.oci.image.config.v1+json",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
DOCKER = {
    "manifest": "application/vnd.docker.distribution.manifest.v2+json",
    "index": "application/vnd.docker.distribution.manifest.list.v2+json",
    "config": "application/vnd.docker.container.image.v1+json",
    "gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def gzip_stored(data):
    """A gzip member made of stored blocks."""
    out = [b"\x1f\x8b\x08\0\0\0\0\0\0\xff"]
    for start in range(0, len(data), 65535):
        block = data[start:start + 65535]
        last = start + 65535 >= len(data)
        out += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join(out) + struct.pack("<II", zlib.crc32(data), len(data))


def zstd_stored(data):
    """A zstd frame (RFC 8878) made of raw blocks: 64 KiB window, content size unknown, no checksum."""
    out = [struct.pack("<IBB", 0xFD2FB528, 0, 6 << 3)]
    for start in range(0, len(data), 64 * KIB):
        block = data[start:start + 64 * KIB]
        last = start + 64 * KIB >= len(data)
        out += [struct.pack("<I", len(block) << 3 | last)[:3], block]
    return b"".join(out)


class Layer:
    """A tar archive and its packed form."""

    def __init__(self, tar, packing="gzip"):
        self.diff_id = digest(tar)
        self.packing = packing
        self.data = gzip_stored(tar) if packing == "gzip" else zstd_stored(tar)
        self.digest = digest(self.data)


def tar_of(entries):
    """A tar of (path, content, mode): content None is a folder, a str the target of a symbolic link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content, mode in entries:
            entry = tarfile.TarInfo(path)
            entry.mode = mode
            if content is None:
                entry.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def layer(name, size, packing="gzip"):
    """A layer with one file of `size` bytes that do not compress."""
    content = random.Random(name).randbytes(size)
    return Layer(tar_of([("data", None, 0o755), (f"data/{name}", content, 0o644)]), packing)


def busybox_layer(binary):
    with open(binary, "rb") as file:
        content = file.read()
    links = [(f"bin/{applet}", "busybox", 0o777) for applet in ("sh", "echo", "cat", "uname")]
    passwd = ("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644)
    return Layer(tar_of([("bin", None, 0o755), ("bin/busybox", content, 0o755), *links, ("etc", None, 0o755), passwd]))


class Registry:
    """A registry that takes pushes, and the facts about what was pushed."""

    def __init__(self, address, image_set, facts):
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.image_set = image_set
        self.facts = facts

    def request(self, method, path, expect, body=None, content_type="application/octet-stream"):
        self.connection.request(method, path, body, {"Content-Type": content_type})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != expect:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:200]!r}")
        return answer

    def push_blob(self, repository, data):
        location = self.request("POST", f"/v2/{repository}/blobs/uploads/", 202).headers["Location"]
        path = "/" + location.split("://", 1)[-1].split("/", 1)[1]
        self.request("PUT", f"{path}{'&' if '?' in path else '?'}digest={digest(data)}", 201, data)

    def push_manifest(self, repository, reference, manifest):
        data = json.dumps(manifest, indent=2).encode()
        self.request("PUT", f"/v2/{repository}/manifests/{reference or digest(data)}", 201, data, manifest["mediaType"])
        return {"mediaType": manifest["mediaType"], "size": len(data), "digest": digest(data)}

    def push_platform(self, repository, reference, kind, arch, layers):
        """Pushes the image of one platform; gives its descriptor and its blobs, the config first."""
        config = json.dumps({
            "created": "2024-01-01T00:00:00Z", "architecture": arch, "os": "linux",
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created": "2024-01-01T00:00:00Z", "created_by": repository} for _ in layers],
        }).encode()
        for data in [config, *(layer.data for layer in layers)]:
            self.push_blob(repository, data)
        descriptor = self.push_manifest(repository, reference, {
            "schemaVersion": 2, "mediaType": kind["manifest"],
            "config": {"mediaType": kind["config"], "size": len(config), "digest": digest(config)},
            "layers": [{"mediaType": kind[layer.packing], "size": len(layer.data), "digest": layer.digest} for layer in layers],
        })
        return descriptor, [digest(config), *(layer.digest for layer in layers)]

    def write_fact(self, name, arch, top, manifest, blobs):
        print(self.image_set, name, arch, top, manifest, blobs[0], ",".join(dict.fromkeys(blobs)), sep="\t", file=self.facts)

    def push_image(self, name, kind, arch, layers):
        descriptor, blobs = self.push_platform(f"library/{name}", TAG, kind, arch, layers)
        self.write_fact(name, arch, descriptor["digest"], descriptor["digest"], blobs)

    def push_multi_arch(self, name, kind, platforms):
        """`platforms` maps an architecture to its layers."""
        repository = f"library/{name}"
        pushed = {arch: self.push_platform(repository, None, kind, arch, layers) for arch, layers in platforms.items()}
        entries = [dict(descriptor, platform={"architecture": arch, "os": "linux"}) for arch, (descriptor, _) in pushed.items()]
        top = self.push_manifest(repository, TAG, {"schemaVersion": 2, "mediaType": kind["index"], "manifests": entries})
        for arch, (descriptor, blobs) in pushed.items():
            self.write_fact(name, arch, top["digest"], descriptor["digest"], blobs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", required=True, choices=["origin", "hub", "other"])
    parser.add_argument("--registry", required=True)
    parser.add_argument("--arch", required=True)
    parser.add_argument("--busybox", required=True)
    parser.add_argument("--facts", required=True)
    options = parser.parse_args()
    arch = options.arch
    with open(options.facts, "a", encoding="ascii") as facts:
        registry = Registry(options.registry, options.set, facts)
        if options.set == "other":
            # The same name as an image of `origin`, with other content: a request that takes the wrong way is found out.
            registry.push_image("twin", OCI, arch, [layer("twin-of-other", 200 * KIB)])
            return
        if options.set == "hub":
            registry.push_image("tokens", OCI, arch, [layer(f"tokens-{i}", size) for i, size in enumerate([3 * MIB, KIB, 400 * KIB])])
            registry.push_image("only-at-hub", DOCKER, arch, [layer(f"only-{i}", size) for i, size in enumerate([MIB, 30 * KIB])])
            return
        base = layer("base", 3 * MIB)
        registry.push_image("oci", OCI, arch, [base] + [layer(f"oci-{i}", size) for i, size in enumerate([KIB, 300 * KIB, MIB])])
        registry.push_image("docker", DOCKER, arch, [base] + [layer(f"docker-{i}", size) for i, size in enumerate([40 * KIB, 2 * MIB, KIB])])
        registry.push_image("many", OCI, arch, [layer(f"many-{i}", KIB) for i in range(60)])
        registry.push_image("zstd", OCI, arch, [layer(f"zstd-{i}", size, "zstd") for i, size in enumerate([300 * KIB, 5 * KIB])])
        registry.push_image("big", OCI, arch, [layer("big", 40 * MIB), layer("big-top", 10 * KIB)])
        registry.push_image("ranges", OCI, arch, [layer("ranges", 40 * MIB)])
        registry.push_image("digest", DOCKER, arch, [layer("digest", 600 * KIB)])
        registry.push_image("twin", OCI, arch, [layer("twin", 200 * KIB)])
        registry.push_image("busybox", DOCKER, arch, [busybox_layer(options.busybox)])
        for name, kind in (("multi", OCI), ("multi-docker", DOCKER)):
            registry.push_multi_arch(name, kind, {each: [layer(f"{name}-{each}", 500 * KIB)] for each in ("amd64", "arm64")})


if __name__ == "__main__":
    main()
