"""The three databases, looked into with their own clients."""

import engines
from picture import Picture

GENERATION = "harbinger_generation"


class Neo4j:
    """Nodes have a label for their kind beside `Harbinger`; relationships have their kind in capitals."""

    NAME = "neo4j"
    SCHEME = "bolt"
    environment = {"GRAPH_USER": engines.USER, "GRAPH_PASSWORD": engines.PASSWORD}

    def __init__(self, place):
        self.place = place

    def __enter__(self):
        from neo4j import GraphDatabase

        self.server = engines.neo4j(self.place)
        self.url = f"bolt://127.0.0.1:{self.server.port}"
        self.driver = GraphDatabase.driver(self.url, auth=(engines.USER, engines.PASSWORD), notifications_min_severity="OFF")
        return self

    def __exit__(self, *_):
        self.driver.close()
        self.server.stop()

    def ask(self, text, **parameters):
        with self.driver.session() as session:
            return [record.values() for record in session.run(text, **parameters)]

    def empty(self):
        self.ask("MATCH (n) CALL { WITH n DETACH DELETE n } IN TRANSACTIONS")

    def size(self):
        return self.ask("MATCH (n) RETURN count(n)")[0][0]

    def picture(self):
        nodes = [(n["id"], *self.kind(n, labels)) for n, labels in self.ask("MATCH (n) RETURN n{.*}, labels(n)")]
        edges = self.ask("MATCH (a)-[e]->(b) RETURN a.id, toLower(type(e)), e.key, b.id, e{.*}")
        return Picture(nodes, [(*ends, plain(properties, "key")) for *ends, properties in edges])

    def kind(self, properties, labels):
        """Label and property say the same."""
        own = [label.lower() for label in labels if label != "Harbinger"]
        assert own == [properties["kind"]], (own, properties)
        return own[0], plain(properties, "id", "kind")

    def sharing(self, layer):
        return sorted(row[0] for row in self.ask("MATCH (m:Manifest)-[:CONTAINS]->(:Layer {id: $layer}) RETURN DISTINCT m.id", layer=layer))

    def bases(self, image):
        text = "MATCH p = (:Manifest {id: $image})-[:BASED_ON*1..20]->(base) RETURN base.id, length(p) AS far ORDER BY far"
        return [row[0] for row in self.ask(text, image=image)]

    def named(self, tag):
        text = "MATCH (:Tag {id: $tag})-[e:NAMES|NAMED]->(m) RETURN m.id ORDER BY e.since, coalesce(e.until, 9999999999)"
        return [row[0] for row in self.ask(text, tag=tag)]


class Tinkerpop:
    """Labels are kinds; vertices are found by `uid`."""

    SCHEME = "ws"
    environment = {}

    def __init__(self, place):
        self.place = place

    def __enter__(self):
        from gremlin_python.driver.client import Client

        self.server = self.start(self.place)
        self.url = f"ws://127.0.0.1:{self.server.port}/gremlin"
        self.client = Client(self.url, "g")
        return self

    def __exit__(self, *_):
        self.client.close()
        self.server.stop()

    def ask(self, script, **bindings):
        return self.client.submit(script, bindings).all().result()

    def empty(self):
        while self.ask("def some = g.V().limit(5000).toList(); some.each { it.remove() }; some.size()")[0]:
            pass

    def size(self):
        return self.ask("g.V().count()")[0]

    def picture(self):
        nodes = self.ask("g.V().project('id', 'kind', 'set').by('uid').by(label).by(valueMap().by(unfold()))")
        edges = self.ask(
            "g.E().project('from', 'kind', 'key', 'to', 'set').by(outV().values('uid')).by(label).by('edge_key').by(inV().values('uid')).by(valueMap())"
        )
        return Picture(
            [(row["id"], row["kind"], plain(row["set"], "uid")) for row in nodes],
            [(row["from"], row["kind"], row["key"], row["to"], plain(row["set"], "edge_key")) for row in edges],
        )

    def sharing(self, layer):
        return sorted(self.ask("g.V().has('uid', layer).in('contains').dedup().values('uid')", layer=layer))

    def bases(self, image):
        return self.ask("g.V().has('uid', image).repeat(out('based_on')).emit().times(20).values('uid')", image=image)

    def named(self, tag):
        return self.ask(
            "g.V().has('uid', tag).outE('names', 'named').order().by('since').by(coalesce(values('until'), constant(9999999999L))).inV().values('uid')",
            tag=tag,
        )


class Gremlin(Tinkerpop):
    NAME = "gremlin"
    start = staticmethod(engines.gremlin)


class Janus(Tinkerpop):
    NAME = "janus"
    start = staticmethod(engines.janus)


ALL = {kind.NAME: kind for kind in (Neo4j, Gremlin, Janus)}


def plain(properties, *own):
    return {name: value for name, value in properties.items() if name not in (*own, GENERATION)}
