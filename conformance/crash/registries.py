"""The registries that can be put through the crashes: Harbinger, and distribution 3.1.1 to see what the harness sees."""

import os
import subprocess
from pathlib import Path

from rig import lab
from rig.mirrors import distribution
from rig.process import Process, free_port


class Harbinger:
    NAME = "harbinger"
    # Content up to this size lies in the catalog, not in a file.
    INLINE = 16 << 10
    # Names of what cannot be asked of it.
    lacks = frozenset()

    def __init__(self, place):
        self.place = place

    def start(self, data, env=None, gc_grace="1h", gc_interval="0s"):
        port = free_port()
        file = self.place / "harbinger.toml"
        file.write_text(
            f'[server]\nlisten = "127.0.0.1:{port}"\n\n'
            f'[storage]\ndata = "{data}"\n\n'
            f'[hosted]\nprefixes = ["local/"]\ngc_grace = "{gc_grace}"\ngc_interval = "{gc_interval}"\n\n'
            '[logging]\nlevel = "warn"\naccess = "off"\n\n'
            # Nothing here is ever fetched from anywhere.
            '[[upstream]]\nname = "docker.io"\nurl = "http://127.0.0.1:9"\n'
        )
        return Process(self.NAME, [lab.harbinger(), "serve", "--config", file], port, self.place / "log", env=env)

    def collector(self, grace, *more):
        """`harbinger gc`, started; whether the server runs is its own affair."""
        command = [lab.harbinger(), "gc", "--config", self.place / "harbinger.toml", "--grace", grace, *more]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HARBINGER_")}
        return subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=clean
        )

    def stored(self, data):
        """The digests of all content in files, and whatever else lies there."""
        digests, strangers = set(), []
        for file in files(data / "hosted"):
            algorithm, fan, name = (file.relative_to(data / "hosted").parts + ("", ""))[:3]
            if file == data / "hosted" / algorithm / fan / name and name.startswith(fan):
                digests.add(f"{algorithm}:{name}")
            else:
                strangers.append(str(file.relative_to(data)))
        return digests, strangers

    def uploads(self, data):
        """The ids of the uploads in the folder, and the files that belong to none. One without bytes may have no file for them."""
        names = {file.name for file in files(data / "uploads")}
        ids = {name.removesuffix(".json") for name in names if name.endswith(".json")}
        return ids, sorted(names - ids - {f"{name}.json" for name in ids})


class Distribution:
    NAME = "distribution"
    lacks = frozenset(["push_whole", "twins", "tags in query", "referrers", "gc"])

    def __init__(self, place):
        self.place = place

    def start(self, data, env=None, **_gc):
        port = free_port()
        file = self.place / "distribution.yml"
        file.write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage:\n  delete: {{enabled: true}}\n  filesystem: {{rootdirectory: {data}}}\n"
            f'http: {{addr: "127.0.0.1:{port}", secret: same-after-each-start}}\n'
        )
        program = lab.go_program(distribution.NAME, distribution.MODULE, distribution.VERSION)
        return Process(self.NAME, [program, "serve", file], port, self.place / "log", env={"OTEL_TRACES_EXPORTER": "none", **(env or {})})


def files(folder):
    return [path for path in Path(folder).rglob("*") if not path.is_dir()]


def by_name(name):
    return {kind.NAME: kind for kind in (Harbinger, Distribution)}[name]
