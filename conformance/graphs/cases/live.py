"""The graph in a running database."""

import signal
import time

from rig.edge import until
from rig.expectation import expect

SLACK = 60
"""Seconds in which something must have begun."""


def same(scene, database):
    """What the database holds is what is held here."""
    ours, theirs = scene.picture(), database.picture()
    difference = ours.differs(theirs)
    expect(difference is None, f"{database.NAME} has another graph: {difference}")
    expect(ours.kinds() == theirs.kinds(), "other counts of nodes or edges by kind")
    return ours


def arrives(scene, database):
    """it has every node and edge, with all properties, by kind and in number"""
    begun = time.monotonic()
    scene.export(database)
    took = time.monotonic() - begun
    ours = same(scene, database)
    nodes, edges = map(len, (ours.nodes, ours.edges))
    scene.say(f"{database.NAME}: {nodes} nodes and {edges} edges in {took:.1f} s, {(nodes + edges) / took:.0f} a second")


def answers_alike(scene, database):
    """images that share a layer, the chain of bases, and what a tag named in order: it answers as we do"""
    ours = scene.picture()
    layers = [name for name, (kind, _) in ours.nodes.items() if kind == "layer"]
    shared = {layer: {start for start, kind, _, end in ours.edges if kind == "contains" and end == layer} for layer in own(ours, layers)}
    most = sorted(shared, key=lambda layer: -len(shared[layer]))[:5]
    expect(len(shared[most[0]]) >= 13, f"the most shared layer is in {len(shared[most[0]])} images only")
    for layer in most:
        answer = scene.asked("shares", layer, "--limit", 1000)
        said = sorted(image["digest"] for image in answer["images"])
        expect(said == database.sharing(layer), f"other images have {layer}")
    depths = []
    for name in ("app/app000:1.0.0", "app/app121:1.1.0", "runtime/r20:1.0.0", "base/os1:latest"):
        answer = scene.asked("base", f"origin.test/{name}")
        said = [base["image"]["digest"] for base in answer["bases"]]
        expect(said == database.bases(answer["image"]["digest"]), f"{name} is built on something else")
        depths.append(len(said))
    expect(depths == [2, 2, 1, 0], f"the chains of bases have lengths {depths}")
    for tag in ("origin.test/app/app000:1.0.0", "origin.test/app/multi:1", "local/moving:1"):
        history = scene.asked("versions", tag)["history"]
        said = [naming["digest"] for naming in reversed(history)]
        expect(said == database.named("tag:" + ("/" + tag if tag.startswith("local") else tag)), f"{tag} named something else")
    expect(len(said) == 3, f"a tag that moved twice named {len(said)} manifests")


def own(picture, layers):
    """Layers of the images of the registry."""
    of_origin = {end for start, kind, _, end in picture.edges if kind == "has" and start.startswith("repository:origin.test/")}
    wanted = {end for start, kind, _, end in picture.edges if kind == "contains" and start in of_origin}
    return [layer for layer in layers if layer in wanted]


def cut_in_nodes(scene, database):
    """killed while nodes are sent, and started again: the same graph, and what was acknowledged is not sent twice"""
    cut(scene, database, lambda nodes, edges: nodes > 0)


def cut_in_edges(scene, database):
    """killed while edges are sent, and started again: the same graph"""
    cut(scene, database, lambda nodes, edges: edges > 0)


def cut(scene, database, far_enough):
    database.empty()
    child = scene.export(database, wait=False)
    try:
        expect(until(lambda: child.poll() is not None or far_enough(*scene.acknowledged()), SLACK, 0.005) is not None, "nothing is sent")
        expect(child.poll() is None, "the export was over before it could be killed: more images are needed")
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
    before = scene.acknowledged()
    ours = scene.picture()
    expect(sum(before) < len(ours.nodes) + len(ours.edges), "all was sent before it was killed")
    expect(0 < database.size() <= len(ours.nodes), "nothing has arrived")
    said = scene.export(database)
    expect(f"{sum(before)} of them since an export that was cut" in said, f"it does not go on after {before}: {said}")
    same(scene, database)
    scene.say(f"{database.NAME}: cut after {before[0]} nodes and {before[1]} edges")


def cut_and_changed(scene, database):
    """killed, and started again when the graph has changed: the graph as it is then"""
    database.empty()
    child = scene.export(database, wait=False)
    try:
        until(lambda: child.poll() is not None or scene.acknowledged()[0] > 0, SLACK, 0.005)
    finally:
        child.kill()
        child.wait()
    digest = scene.push("local/passing", ["os0", f"passing {database.NAME}"], "1")
    settled(scene, digest, True)
    scene.delete("local/passing", digest)
    settled(scene, digest, False)
    scene.export(database)
    same(scene, database)


def emptied(scene, database):
    """killed, and started again when somebody has emptied the database: the whole graph"""
    child = scene.export(database, wait=False)
    try:
        until(lambda: child.poll() is not None or scene.acknowledged()[0] > 0, SLACK, 0.005)
    finally:
        child.kill()
        child.wait()
    database.empty()
    scene.export(database)
    same(scene, database)


def follows(scene, database):
    """a tag moved and a manifest was deleted: after another export it has the graph as it is, and nothing that is no more"""
    name = f"local/follows-{database.NAME}"
    old = scene.push(name, ["os0", f"old {database.NAME}"], "1")
    settled(scene, old, True)
    scene.export(database)
    same(scene, database)
    new = scene.push(name, ["os0", f"new {database.NAME}"], "1")
    settled(scene, new, True)
    scene.delete(name, new)
    settled(scene, new, False, named=True)
    scene.export(database)
    ours = same(scene, database)
    kinds = {kind for start, kind, _, _ in ours.edges if start == f"tag:/{name}:1"}
    expect(kinds == {"named"}, f"a tag whose manifest was deleted has {kinds}")


def settled(scene, digest, there, named=False):
    """Waits until the graph has heard of a push or a deletion."""

    def heard():
        edges = scene.picture().edges
        has = any(kind == "has" and end == digest for _, kind, _, end in edges)
        return has == there and (not named or not any(kind == "names" and end == digest for _, kind, _, end in edges))

    expect(until(heard, 20, 0.2) is not None, f"the graph does not hear of {digest}")


def strangers_are_left_alone(scene, database):
    """what others keep in the database is there still"""
    if database.NAME == "neo4j":
        database.ask("CREATE (:Other {id: 'x'})-[:CONTAINS {key: 1}]->(:Other {id: 'y'})")
        left = "MATCH (a:Other)-[e]->(b:Other) DETACH DELETE a, b RETURN count(e)"
    else:
        database.ask("g.addV('other').property('name', 'x').as('a').addV('other').as('b').addE('contains').from('a').to('b').iterate()")
        left = "def n = g.V().hasLabel('other').outE().count().next(); g.V().hasLabel('other').drop().iterate(); n"
    scene.export(database)
    expect(list(database.ask(left)) in ([[1]], [1]), "something of others is gone")
    same(scene, database)


CASES = [arrives, answers_alike, cut_in_nodes, cut_in_edges, cut_and_changed, emptied, follows, strangers_are_left_alone]
