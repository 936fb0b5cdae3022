"""Real clients that are sent to a bucket: containerd, by ctr, and podman."""

import os
import shutil
import subprocess
from contextlib import contextmanager

from images import TAG
from rig import content, lab
from rig.edge import UPSTREAM, until
from rig.expectation import expect

LONGEST = 90


@contextmanager
def containerd(place, edge):
    """A daemon of its own, to which the edge is the mirror of the origin."""
    lab.debian(containerd="containerd", runc="runc")
    home = place / "containerd"
    hosts = home / "certs.d" / UPSTREAM
    hosts.mkdir(parents=True)
    (hosts / "hosts.toml").write_text(f'[host."{edge.url}"]\n  capabilities = ["pull", "resolve"]\n')
    state = short(place, "c")
    file = home / "config.toml"
    # The CRI plugin and the btrfs snapshotter look for things that need not be here; neither is needed to pull.
    file.write_text(
        f"""version = 2
root = "{home / 'root'}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.overlayfs"]
[grpc]
  address = "{state / 'sock'}"
[ttrpc]
  address = "{state / 'sock.ttrpc'}"
"""
    )
    with open(home / "log", "wb") as log:
        daemon = subprocess.Popen(["containerd", "--config", str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        ctr = Ctr(home, state / "sock")
        expect(until(lambda: daemon.poll() is not None or ctr.answers(), 20) is not None, "containerd does not start")
        expect(daemon.poll() is None, f"containerd ended: {(home / 'log').read_text()[-500:]}")
        yield ctr
    finally:
        daemon.terminate()
        daemon.wait(20)
        shutil.rmtree(state, ignore_errors=True)


class Ctr:
    def __init__(self, home, socket):
        self.home, self.socket = home, socket

    def answers(self):
        return self.socket.exists() and run("ctr", "--address", self.socket, "version").returncode == 0

    def pull(self, image):
        """Every byte that the daemon stored is right."""
        reference = f"{UPSTREAM}/{image.repository}:{TAG}"
        hosts = self.home / "certs.d"
        options = ["--hosts-dir", hosts, "--snapshotter", "native", "--platform", "linux/amd64"]
        must(run("ctr", "--address", self.socket, "images", "pull", *options, reference))
        store = self.home / "root" / "io.containerd.content.v1.content" / "blobs" / "sha256"
        for name, data in image.everything().items():
            expect((store / name[7:]).read_bytes() == data, f"containerd stored other bytes as {name}")


def podman(place, edge, image):
    """The image's id is the digest of its configuration, which names what is in its layers; podman checks both."""
    lab.debian(podman="podman", skopeo="skopeo")
    home = place / "podman"
    home.mkdir()
    roots = ["--root", home / "root", "--runroot", short(place, "p"), "--storage-driver", "vfs"]
    roots += ["--cgroup-manager", "cgroupfs", "--events-backend", "none"]
    policy = home / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    reference = f"127.0.0.1:{edge.port}/{image.repository}:{TAG}"
    must(run("podman", *roots, "pull", "--quiet", "--tls-verify=false", "--signature-policy", policy, reference))
    try:
        said = must(run("podman", *roots, "image", "inspect", "--format", "{{.Id}} {{join .RepoDigests \",\"}}", reference)).stdout.decode()
        config = content.digest(next(data for data in image.blobs.values() if data.startswith(b"{")))
        expect(said.split()[0] == config[7:], f"the image is {said.split()[0]}, not {config}")
        expect(content.digest(image.index) in said, f"{content.digest(image.index)} is not among {said.split()[1]}")
    finally:
        run("podman", *roots, "system", "reset", "--force")


def short(place, letter):
    """A folder with a short name, as sockets must have one."""
    return lab.folder("s", f"{letter}-{place.parent.name[:12]}", fresh=True)


def run(*words):
    # Credentials and settings of whoever runs this stay out of it.
    env = {**os.environ, "HOME": str(lab.folder("stores", "home")), "XDG_RUNTIME_DIR": str(lab.folder("stores", "home"))}
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "CONTAINERS_REGISTRIES_CONF"):
        env.pop(name, None)
    return subprocess.run([str(word) for word in words], capture_output=True, timeout=LONGEST, env=env, stdin=subprocess.DEVNULL)


def must(done):
    expect(done.returncode == 0, f"{done.args[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}")
    return done
