#!/usr/bin/env python3
"""What a client has pushed: prints the digest of an image's manifest, of its configuration, and of all its blobs.

    pushed.py http://HOST:PORT REPOSITORY TAG
"""

import hashlib
import json
import sys
from urllib.request import Request, urlopen

ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


def main(registry, repository, tag):
    with urlopen(Request(f"{registry}/v2/{repository}/manifests/{tag}", headers={"Accept": ACCEPT}), timeout=20) as answer:
        manifest = answer.read()
    digest = "sha256:" + hashlib.sha256(manifest).hexdigest()
    if answer.headers["Docker-Content-Digest"] != digest:
        sys.exit(f"the manifest has the digest {digest}")
    named = json.loads(manifest)
    config, layers = named["config"]["digest"], [layer["digest"] for layer in named["layers"]]
    print(digest, config, ",".join([config, *layers]))


if __name__ == "__main__":
    main(*sys.argv[1:])
