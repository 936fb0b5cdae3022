"""The scene: a registry with images, a Harbinger that has learned it, and the programs that are asked on the command line."""

import json
import os
import subprocess
import time
import urllib.request

import images
from picture import of_records
from rig import content, lab, registry
from rig.client import fetch
from rig.edge import UPSTREAM, Edge, until
from rig.expectation import expect

LONGEST = 300
FEATURES = "neo4j,gremlin"


def binary():
    """The binary under test if it speaks to databases, or else one that is built for that."""
    path = lab.harbinger()
    said = subprocess.run([path, "graph", "export", "--help"], capture_output=True, text=True, check=True).stdout
    if "speaks to Neo4j, Gremlin" in " ".join(said.split()):
        return path
    target = lab.folder("graphs", "target")
    lab.say(f"building with --features {FEATURES}")
    env = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(["cargo", "build", "--locked", "--bin", "harbinger", "--features", FEATURES], cwd=lab.ROOT, env=env, check=True)
    return target / "debug" / "harbinger"


class Scene:
    """`bulk` images are told to the graph beside those of the registry, so that an export takes long enough to be cut."""

    def __init__(self, place, bulk):
        self.place, self.bulk = place, bulk
        self.program = binary()
        os.environ["HARBINGER"] = str(self.program)

    def __enter__(self):
        self.origin = registry.debian(lab.folder("graphs", "origin", fresh=True)).wait_open()
        self.count, self.referrer = images.fill(self.origin.url)
        self.edge = Edge(self.place / "edge", self.origin.url).start()
        expect(until(lambda: self.run("stats").returncode == 0, 20) is not None, f"no graph: {self.run('stats').stderr}")
        return self

    def __exit__(self, *_):
        self.edge.stop()
        self.origin.stop()

    @staticmethod
    def say(message):
        lab.say(f"    {message}")

    def command(self, *words):
        return [self.program, "graph", *map(str, words), "--config", self.edge.file]

    def run(self, *words, environment=None, text=None):
        """`harbinger graph …`. Gives what came of it, whatever that is."""
        env = {**os.environ, **(environment or {})}
        env = {name: value for name, value in env.items() if not name.startswith("HARBINGER")}
        return subprocess.run(self.command(*words), capture_output=True, text=True, env=env, timeout=LONGEST, input=text)

    def must(self, *words, **more):
        done = self.run(*words, **more)
        expect(done.returncode == 0, f"'graph {' '.join(map(str, words))}' ended with {done.returncode}: {done.stderr[-400:]}")
        return done

    def asked(self, *words):
        """The answer of `harbinger graph … --json`."""
        return json.loads(self.must(*words, "--json").stdout)

    def records(self):
        return [json.loads(line) for line in self.must("export", "--format", "ndjson").stdout.splitlines()]

    def picture(self):
        return of_records(self.records())

    def learn(self, *more):
        """The whole registry. Gives how many manifests were fetched."""
        said = self.must("import", "--registry", UPSTREAM, "--configs", *more).stdout
        return int(said.split(" manifests fetched")[0].split()[-1])

    def tell(self, events):
        """Tells the graph events, past the command line."""
        operator = json.loads((self.edge.data / "admin.json").read_text())
        lines = "".join(json.dumps(event) + "\n" for event in events).encode()
        request = urllib.request.Request(
            f"http://{operator['address']}/api/v1/graph/import", lines, {"Authorization": f"Bearer {operator['token']}"}
        )
        with urllib.request.urlopen(request, timeout=LONGEST) as answer:
            report = json.load(answer)
        expect(report["refused"] == 0, f"{report['refused']} events were refused: {report['bad'][:1]}")
        return report["applied"]

    def more(self):
        """Images that nobody has: ten layers each, of which some are shared."""
        now = int(time.time() * 1000)
        self.tell(seen(number, now) for number in range(self.bulk))

    def pull(self, repository, tag):
        answer = self.edge.get(f"/v2/{UPSTREAM}/{repository}/manifests/{tag}")
        expect(answer.status == 200, f"{repository}:{tag} is answered with {answer.status}")
        for layer in json.loads(answer.body).get("layers", []):
            answer = self.edge.get(f"/v2/{UPSTREAM}/{repository}/blobs/{layer['digest']}")
            expect(answer.status == 200, f"a layer of {repository}:{tag} is answered with {answer.status}")

    def push(self, repository, names, *tags):
        """An image that lives here. Gives its digest."""
        return content.digest(images.image(self.edge.url, repository, names, *tags))

    def delete(self, repository, digest):
        answer = fetch(f"{self.edge.url}/v2/{repository}/manifests/{digest}", method="DELETE")
        expect(answer.status == 202, f"a deletion is answered with {answer.status}")

    def export(self, database, wait=True):
        """Brings the graph to a database. Gives the process that does, or what it said."""
        words = ["export", "--live", database.url]
        if wait:
            return self.must(*words, environment=database.environment).stderr
        env = {**os.environ, **database.environment}
        env = {name: value for name, value in env.items() if not name.startswith("HARBINGER")}
        return subprocess.Popen(self.command(*words), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def acknowledged(self):
        """Nodes and edges that a database has acknowledged of an export that is under way."""
        for file in self.edge.data.glob("live-export-*.json"):
            try:
                cut = json.loads(file.read_text())
            except (OSError, ValueError):
                continue
            return cut["nodes"]["count"], cut["edges"]["count"]
        return 0, 0

    def requests(self, method, part):
        """How often the registry was asked for something."""
        lines = self.origin.log.read_text(errors="replace").splitlines()
        return sum(f'"{method} ' in line and part in line for line in lines)


def seen(number, now):
    """An event: a manifest."""

    def part(name, size):
        return {"digest": content.digest(name.encode()), "size": size, "media_type": content.LAYER}

    repository = {"route": "bulk.test", "name": f"bulk/r{number % 40}"}
    layers = [part(f"bulk {number // 20 ** (9 - depth) if depth < 9 else number} {depth}", 1000 + depth) for depth in range(10)]
    return {
        "at": now,
        "event": "manifest_seen",
        "repository": repository,
        "manifest": {**part(f"bulk manifest {number}", 700), "media_type": content.MANIFEST},
        "config": {**part(f"bulk config {number}", 300), "media_type": content.CONFIG},
        "layers": layers,
    }
