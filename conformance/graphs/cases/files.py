"""Files, read by the programs that they are for."""

import json
import shutil
import subprocess

from picture import Picture
from databases import plain
from rig import lab
from rig.expectation import expect


def written(scene, form, name):
    path = scene.place / name
    scene.must("export", "--format", form, "--out", path)
    return path


def equal(scene, picture, what):
    difference = scene.picture().differs(picture)
    expect(difference is None, f"{what} has another graph: {difference}")


def graphml(scene, _):
    """GraphML, by networkx: every node and edge, with its types"""
    import networkx

    read = networkx.read_graphml(written(scene, "graphml", "graph.graphml"), force_multigraph=True)
    nodes = [(name, data["kind"], plain(data, "kind")) for name, data in read.nodes(data=True)]
    edges = [(start, data["kind"], data["key"], end, plain(data, "kind", "key", "id")) for start, end, data in read.edges(data=True)]
    equal(scene, Picture(nodes, edges), "the file")


def node_link(scene, _):
    """JSON, by networkx"""
    import networkx

    document = json.loads(written(scene, "json", "graph.json").read_text())
    read = networkx.node_link_graph(document, edges="links")
    nodes = [(name, data["kind"], plain(data, "kind")) for name, data in read.nodes(data=True)]
    edges = [
        (start, data["kind"], int(key.split()[-1]), end, plain(data, "kind")) for start, end, key, data in read.edges(keys=True, data=True)
    ]
    equal(scene, Picture(nodes, edges), "the file")


def csv_and_cypher(scene, databases):
    """CSV and load.cypher, by Neo4j: loaded twice, every node and edge is there once"""
    database = databases["neo4j"]
    folder = written(scene, "csv", "csv")
    for file in folder.glob("*.csv"):
        shutil.copy(file, database.place / "import")
    database.empty()
    lines = [line for line in (folder / "load.cypher").read_text().splitlines() if not line.startswith("//")]
    for _ in range(2):
        for statement in "\n".join(lines).split(";\n"):
            if statement.strip():
                database.ask(statement)
    equal(scene, database.picture(), "Neo4j")
    database.empty()


def graphson(scene, databases):
    """GraphSON 3, by g.io of a Gremlin Server"""
    database = databases["gremlin"]
    path = written(scene, "graphson", "graphson.json")
    database.empty()
    database.ask("g.io(path).read().iterate()", path=str(path))
    equal(scene, database.picture(), "the Gremlin Server")
    database.empty()
    expect(not list(scene.place.glob(".harbinger-export-*")), "temporary files are left")


def graphson_in_janus(scene, databases):
    """GraphSON 3, by g.io of a JanusGraph, which gives identifiers of its own"""
    database = databases["janus"]
    path = written(scene, "graphson", "graphson.json")
    database.empty()
    database.ask("g.io(path).read().iterate()", path=str(path))
    equal(scene, database.picture(), "JanusGraph")
    database.empty()


def dot(scene, _):
    """DOT, by Graphviz: it reads as many nodes and edges as there are"""
    lab.debian(gvpr="graphviz")
    path = written(scene, "dot", "graph.dot")
    count = subprocess.run(["gvpr", 'E {} END_G { print(nNodes($G), " ", nEdges($G)); }', path], capture_output=True, text=True, check=True)
    ours = scene.picture()
    said = tuple(map(int, count.stdout.split()))
    expect(said == (len(ours.nodes), len(ours.edges)), f"Graphviz reads {said}, not {(len(ours.nodes), len(ours.edges))}")


def drawn(scene, _):
    """DOT, drawn by Graphviz: what is around one image"""
    lab.debian(dot="graphviz")
    lines = written(scene, "dot", "graph.dot").read_text().splitlines()
    few = [line for line in lines if "->" not in line or "app/multi" in line]
    few = [line for line in few if not line.startswith('  "') or "app/multi" in line or "->" in line]
    drawn = subprocess.run(["dot", "-Tsvg"], input="\n".join(few), capture_output=True, text=True, timeout=60)
    expect(drawn.returncode == 0, f"dot: {drawn.stderr[-300:]}")
    expect("app/multi" in drawn.stdout, "the drawing shows something else")


CASES = [graphml, node_link, csv_and_cypher, graphson, graphson_in_janus, dot, drawn]
NEEDS = {csv_and_cypher: "neo4j", graphson: "gremlin", graphson_in_janus: "janus"}
"""The database that a case needs."""
