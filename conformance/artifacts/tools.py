"""What each tool does: pairs of a sentence and a function, in order; each builds on those before."""

import json
import os
import subprocess
import urllib.request
from functools import partial

from rig import content, lab


class Wrong(Exception):
    """Something is not as it must be."""


def program(name, module, version):
    return lab.go_program(name, module, version)


def run(place, command, *arguments, **env):
    """What it prints. It must end well."""
    words = [str(word) for word in (command, *arguments)]
    done = subprocess.run(words, cwd=place, env={**os.environ, **env}, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise Wrong(f"{' '.join(words[1:5])}… ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def equal(what, found, wanted):
    if found != wanted:
        raise Wrong(f"{what}: {str(found)[:200]}, not {str(wanted)[:200]}")


def digest_at(host, repository, reference):
    """The digest of a manifest as a client sees it, seen to by hashing its bytes."""
    request = urllib.request.Request(f"http://{host}/v2/{repository}/manifests/{reference}", headers={"Accept": content.ACCEPT})
    with urllib.request.urlopen(request, timeout=20) as answer:
        found = content.digest(answer.read())
        equal("Docker-Content-Digest", answer.headers["Docker-Content-Digest"], found)
        return found


def oras(place, hosted, mirror):
    call = partial(run, place, program("oras", "oras.land/oras/cmd/oras", "v1.3.6"))
    target, files = f"{hosted}/local/oras/app", {"layer.bin": content.noise(3_000_000, 1), "empty.bin": b"", "note.txt": b"a note\n"}

    def push():
        for name, data in files.items():
            (place / name).write_bytes(data)
        call("push", "--plain-http", f"{target}:1", *(f"{name}:application/vnd.example.file" for name in files))

    def pull(source, folder):
        call("pull", "--plain-http", "-o", folder, f"{source}:1")
        equal("files", {name: (place / folder / name).read_bytes() == data for name, data in files.items()}, dict.fromkeys(files, True))

    def attach():
        (place / "sbom.json").write_text('{"sbom": true}')
        kind = "application/vnd.example.sbom"
        call("attach", "--plain-http", "--artifact-type", kind, "--annotation", "org.example.by=oras", f"{target}:1", "sbom.json")
        for source in (target, f"{mirror}/local/oras/app"):
            found = json.loads(call("discover", "--plain-http", "--format", "json", f"{source}:1"))
            found = found.get("referrers") or found.get("manifests")
            equal("referrers", [one["artifactType"] for one in found], [kind])
            equal("annotations", found[0]["annotations"]["org.example.by"], "oras")

    def copy():
        call("copy", "--from-plain-http", "--to-plain-http", "-r", f"{target}:1", f"{hosted}/local/oras/copy:1")
        equal("digest", digest_at(hosted, "local/oras/copy", "1"), digest_at(hosted, "local/oras/app", "1"))
        found = json.loads(call("discover", "--plain-http", "--format", "json", f"{hosted}/local/oras/copy:1"))
        equal("referrers of the copy", len(found.get("referrers") or found.get("manifests")), 1)

    def delete():
        call("manifest", "delete", "--plain-http", "--force", f"{hosted}/local/oras/copy:1")
        equal("tags", call("repo", "tags", "--plain-http", f"{hosted}/local/oras/copy").split(), [])
        pull(target, "after")

    yield "pushes files, an empty one among them", push
    yield "pulls them", partial(pull, target, "back")
    yield "pulls them through a mirror", partial(pull, f"{mirror}/local/oras/app", "mirrored")
    yield "attaches an artifact and discovers it, through the mirror too", attach
    yield "copies image and referrers to another repository", copy
    yield "deletes the copy, and the original stays", delete


def regctl(place, hosted, mirror):
    call = partial(run, place, program("regctl", "github.com/regclient/regclient/cmd/regctl", "v0.8.0"))
    blob = content.noise(40_000_000, 3)

    def set_up():
        for host in (hosted, mirror.split("/")[0]):
            call("registry", "set", "--tls", "disabled", "--blob-chunk", "5000000", "--blob-max", "1000000", host)

    def chunks():
        with subprocess.Popen([call.args[1], "blob", "put", f"{hosted}/local/regctl"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as put:
            printed = put.communicate(blob, timeout=120)[0].decode().strip()
        equal("digest", printed, content.digest(blob))
        got = subprocess.run([call.args[1], "blob", "get", f"{hosted}/local/regctl", printed], capture_output=True, timeout=120).stdout
        equal("blob", content.digest(got), printed)

    def artifact():
        (place / "a.txt").write_text("artifact")
        call("artifact", "put", "--artifact-type", "application/vnd.example.a", "-f", "a.txt", f"{hosted}/local/regctl:a")
        call("artifact", "put", "--artifact-type", "application/vnd.example.b", "-f", "a.txt", "--subject", f"{hosted}/local/regctl:a")
        for name in (f"{hosted}/local/regctl:a", f"{mirror}/local/regctl:a"):
            found = json.loads(call("artifact", "list", "--format", "{{jsonPretty .}}", name))
            equal("artifact types", [one["artifactType"] for one in found["descriptors"]], ["application/vnd.example.b"])

    def index():
        call("index", "create", "--ref", f"{hosted}/local/regctl:a", f"{hosted}/local/regctl:many")
        call("image", "copy", f"{hosted}/local/regctl:many", f"{hosted}/local/regctl-copy:many")
        equal("digest", digest_at(hosted, "local/regctl-copy", "many"), digest_at(hosted, "local/regctl", "many"))
        equal("tags", sorted(call("tag", "ls", f"{hosted}/local/regctl").split()), ["a", "many"])
        call("tag", "delete", f"{hosted}/local/regctl:many")
        equal("tags after the deletion", call("tag", "ls", f"{hosted}/local/regctl").split(), ["a"])

    yield "is told to use chunks", set_up
    yield "pushes 40 MB in chunks and reads them back", chunks
    yield "pushes an artifact and one that refers to it, which it lists, through the mirror too", artifact
    yield "makes an index, copies it, lists and deletes tags", index


def helm(place, hosted, mirror):
    call = partial(run, place, program("helm", "helm.sh/helm/v3/cmd/helm", "v3.22.0"))

    def push():
        call("create", "demo")
        call("package", "demo", "--version", "1.2.3")
        call("push", "--plain-http", "demo-1.2.3.tgz", f"oci://{hosted}/local/charts")

    def pull(source, folder):
        (place / folder).mkdir()
        call("pull", "--plain-http", f"oci://{source}/demo", "--version", "1.2.3", "-d", folder)
        equal("chart", (place / folder / "demo-1.2.3.tgz").read_bytes() == (place / "demo-1.2.3.tgz").read_bytes(), True)

    yield "pushes a chart", push
    yield "pulls it", partial(pull, f"{hosted}/local/charts", "back")
    yield "pulls it through a mirror", partial(pull, f"{mirror}/local/charts", "mirrored")


def cosign(place, hosted, mirror):
    call = partial(run, place, program("cosign", "github.com/sigstore/cosign/v2/cmd/cosign", "v2.4.1"), COSIGN_PASSWORD="", COSIGN_EXPERIMENTAL="1")
    crane = partial(run, place, program("crane", "github.com/google/go-containerregistry/cmd/crane", "v0.22.1"))

    def image():
        (place / "file").write_text("signed")
        subprocess.run(["tar", "-cf", "layer.tar", "file"], cwd=place, check=True)
        for name in ("tagged", "referred"):
            crane("append", "--insecure", "-f", "layer.tar", "-t", f"{hosted}/local/signed/{name}:1")
        call("generate-key-pair")

    def sign(name, *mode):
        reference = f"local/signed/{name}@{digest_at(hosted, f'local/signed/{name}', '1')}"
        call("sign", "--key", "cosign.key", "--tlog-upload=false", "--allow-http-registry", "--yes", *mode, f"{hosted}/{reference}")
        for host in (hosted, mirror):
            check = ["verify", "--key", "cosign.pub", "--insecure-ignore-tlog=true", "--allow-http-registry"]
            call(*check, *(["--experimental-oci11=true"] if mode else []), f"{host}/{reference}")

    def by_tag():
        sign("tagged")
        wanted = digest_at(hosted, "local/signed/tagged", "1").replace(":", "-") + ".sig"
        equal("its tag", wanted in crane("ls", "--insecure", f"{hosted}/local/signed/tagged").split(), True)

    def by_referrer():
        sign("referred", "--registry-referrers-mode=oci-1-1")
        subject = digest_at(hosted, "local/signed/referred", "1")
        with urllib.request.urlopen(f"http://{hosted}/v2/local/signed/referred/referrers/{subject}", timeout=20) as answer:
            equal("referrers", len(json.load(answer)["manifests"]), 1)
        equal("tags", crane("ls", "--insecure", f"{hosted}/local/signed/referred").split(), ["1"])

    yield "makes a key, for images that crane has pushed", image
    yield "signs by tag; the signature is verified, through a mirror too", by_tag
    yield "signs by referrer; the signature is verified, through a mirror too", by_referrer


ALL = {"oras": oras, "regctl": regctl, "helm": helm, "cosign": cosign}
