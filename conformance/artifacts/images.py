"""Whole images between the tools: what one pushes, another pulls; into one repository and from another; both at once."""

import threading
import time
from functools import partial

import layout
from rig import content, lab
from tools import Wrong, digest_at, equal, program, run


class Tools:
    """How each tool pushes a layout, pulls one, and copies from repository to repository."""

    def __init__(self, place, hosts):
        lab.debian(skopeo="skopeo")
        self.oras_ = partial(run, place, program("oras", "oras.land/oras/cmd/oras", "v1.3.6"))
        self.regctl_ = partial(run, place, program("regctl", "github.com/regclient/regclient/cmd/regctl", "v0.8.0"))
        self.crane_ = partial(run, place, program("crane", "github.com/google/go-containerregistry/cmd/crane", "v0.22.1"), "--insecure")
        # Debian's default refuses all images that nobody has signed.
        self.skopeo_ = partial(run, place, "skopeo", "--insecure-policy")
        for host in hosts:
            self.regctl_("registry", "set", "--tls", "disabled", "--blob-chunk", "16000000", "--blob-max", "1000000", host)

    def push(self, tool, folder, target):
        match tool:
            case "oras":
                self.oras_("copy", "--from-oci-layout", "--to-plain-http", f"{folder}:{layout.TAG}", target)
            case "regctl":
                self.regctl_("image", "copy", f"ocidir://{folder}:{layout.TAG}", target)
            case "crane":
                self.crane_("push", folder, target)
            case "skopeo":
                self.skopeo_("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{folder}:{layout.TAG}", f"docker://{target}")

    def pull(self, tool, source, folder):
        match tool:
            case "oras":
                self.oras_("copy", "--from-plain-http", "--to-oci-layout", source, f"{folder}:{layout.TAG}")
            case "regctl":
                self.regctl_("image", "copy", source, f"ocidir://{folder}:{layout.TAG}")
            case "crane":
                self.crane_("pull", "--format", "oci", source, folder)
            case "skopeo":
                self.skopeo_("copy", "--all", "--preserve-digests", "--src-tls-verify=false", f"docker://{source}", f"oci:{folder}:{layout.TAG}")

    def copy(self, tool, source, target):
        match tool:
            case "oras":
                self.oras_("copy", "--from-plain-http", "--to-plain-http", source, target)
            case "regctl":
                self.regctl_("image", "copy", source, target)
            case "crane":
                self.crane_("copy", source, target)


def cases(place, hosted, mirror):
    tools = Tools(place, (hosted, mirror.split("/")[0]))
    index, plain = layout.multi_arch(10), layout.plain(15)
    log = lab.folder("artifacts", "servers", "registry") / "log"

    def pull_whole(tool, source, contents, folder):
        """Pulls into a new folder, which then has all these contents."""
        tools.pull(tool, source, folder)
        found, named = layout.holds(place / folder)
        equal("what the name leads to", named, {content.digest(contents[-1])})
        equal(f"contents that {tool} lacks", {content.digest(one) for one in contents} - found, set())

    def between(pusher, puller, folder, contents):
        """One tool's index, by another tool from the registry and from its mirror."""
        repository = f"local/images/{folder}/{pusher}"
        tools.push(pusher, folder, f"{hosted}/{repository}:1")
        equal("digest", digest_at(hosted, repository, "1"), content.digest(contents[-1]))
        pull_whole(puller, f"{hosted}/{repository}:1", contents, f"{pusher}-{puller}")
        pull_whole(puller, f"{mirror}/{repository}:1", contents, f"{pusher}-{puller}-mirrored")

    def mount(tool):
        """A copy to another repository of the same registry sends manifests, and no blob."""
        target = f"local/mounted/{tool}"
        tools.copy(tool, f"{hosted}/local/images/index/oras:1", f"{hosted}/{target}:1")
        equal("digest", digest_at(hosted, target, "1"), content.digest(index[-1]))
        lines = requests(log, target, until=f'"PUT /v2/{target}/manifests/')
        uploads = [line for line in lines if f" /v2/{target}/blobs/uploads/" in line]
        equal("blobs mounted", any("mount=" in line and '" 201 ' in line for line in uploads), True)
        equal("blobs sent", [line for line in uploads if '"POST ' not in line], [])
        pull_whole("crane", f"{hosted}/{target}:1", index, f"mounted-{tool}")

    def large(tool, puller, patches):
        """One layer of 200 MB, sent by at least so many requests."""
        repository, data = f"local/large/{tool}", layout.image([content.noise(200_000_000, 20)])
        tools.push(tool, "large", f"{hosted}/{repository}:1")
        lines = requests(log, repository, until=f'"PUT /v2/{repository}/manifests/')
        sent = sum('"PATCH ' in line and '" 202 ' in line for line in lines)
        equal(f"at least {patches} parts taken, of {sent}", sent >= patches, True)
        pull_whole(puller, f"{mirror}/{repository}:1", data, f"large-{tool}")

    def at_once():
        """While two tools push image after image under one tag, others pull it: each gets one of the images, whole."""
        target = f"{hosted}/local/moving:1"
        images = [layout.image([content.noise(8_000_000, 30 + turn), content.noise(1000, 50 + turn)]) for turn in range(8)]
        tops = [layout.write(place / f"image-{turn}", contents) for turn, contents in enumerate(images)]
        whole = {top: {content.digest(one) for one in contents} for top, contents in zip(tops, images)}
        tools.push("crane", "image-0", target)
        over, errors = threading.Event(), []

        def push():
            try:
                for turn in range(1, len(images)):
                    tools.push(("crane", "regctl")[turn % 2], f"image-{turn}", target)
                equal("digest", digest_at(hosted, "local/moving", "1"), tops[-1])
            except Exception as error:
                errors.append(error)
            finally:
                over.set()

        def pull(tool):
            try:
                turn = 0
                while not (over.is_set() and turn):
                    turn += 1
                    tools.pull(tool, target, f"moving-{tool}-{turn}")
                    found, named = layout.holds(place / f"moving-{tool}-{turn}")
                    equal("names", len(named), 1)
                    equal(f"contents that {tool} lacks", whole[named.pop()] - found, set())
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=push), *(threading.Thread(target=pull, args=(tool,)) for tool in ("oras", "skopeo"))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def write():
        layout.write(place / "index", index)
        layout.write(place / "plain", plain)
        layout.write(place / "large", layout.image([content.noise(200_000_000, 20)]))

    yield "are made", write
    for pusher, puller in (("oras", "crane"), ("crane", "regctl"), ("regctl", "oras")):
        what = f"{pusher} pushes an index of two platforms and an artifact; {puller} pulls it, through a mirror too"
        yield what, partial(between, pusher, puller, "index", index)
    for pusher, puller in (("crane", "skopeo"), ("skopeo", "crane")):
        yield f"{pusher} pushes an index of two platforms; {puller} pulls it, through a mirror too", partial(between, pusher, puller, "plain", plain)
    for tool in ("oras", "regctl", "crane"):
        yield f"{tool} copies it to another repository and sends no blob", partial(mount, tool)
    yield "regctl pushes a layer of 200 MB in chunks; oras pulls it through a mirror", partial(large, "regctl", "oras", 12)
    yield "skopeo pushes it as one stream; crane pulls it through a mirror", partial(large, "skopeo", "crane", 1)
    yield "oras and skopeo pull a tag under which crane and regctl push image after image, and never get a mixture", at_once


def requests(log, repository, until):
    """The registry's access-log lines about a repository, when the awaited one is among them: lines may come later than answers."""
    for _ in range(50):
        lines = [line for line in log.read_text(errors="replace").splitlines() if f" /v2/{repository}/" in line]
        if any(until in line for line in lines):
            return lines
        time.sleep(0.1)
    raise Wrong(f"the registry has not logged {until}")
