"""Real graph databases on loopback, from Maven coordinates: Neo4j, Gremlin Server and JanusGraph."""

import subprocess
from pathlib import Path

from rig import lab
from rig.edge import until
from rig.process import Process, free_port

HERE = Path(__file__).resolve().parent
USER, PASSWORD = "harbinger", "not-a-secret"

NEO4J = ["org.neo4j:neo4j:5.26.0", "org.neo4j:neo4j-bolt:5.26.0"]
GREMLIN = ["org.apache.tinkerpop:gremlin-server:3.7.3"]
# Without the first one, Maven would choose a commons-lang3 that is too old for the others.
JANUS = ["org.apache.commons:commons-lang3:3.17.0", "org.janusgraph:janusgraph-server:1.1.0", "org.janusgraph:janusgraph-inmemory:1.1.0"]


def neo4j(place):
    imports = place / "import"
    imports.mkdir()
    port = free_port()
    words = [HERE / "servers" / "Neo.java", place / "home", imports, port, USER, PASSWORD]
    server = Process("neo4j", java(NEO4J, *words), port, place / "log")
    return started(server, lambda: "ready" in server.log.read_text(errors="replace"))


def gremlin(place):
    return tinkerpop(
        place,
        GREMLIN,
        "org.apache.tinkerpop.gremlin.server.GremlinServer",
        {"gremlin.graph": "org.apache.tinkerpop.gremlin.tinkergraph.structure.TinkerGraph", "gremlin.tinkergraph.vertexIdManager": "ANY"},
        "org.apache.tinkerpop.gremlin.tinkergraph.jsr223.TinkerGraphGremlinPlugin",
        "org.apache.tinkerpop.gremlin.tinkergraph.structure.TinkerIoRegistryV3",
    )


def janus(place):
    return tinkerpop(
        place,
        JANUS,
        "org.janusgraph.graphdb.server.JanusGraphServer",
        {"gremlin.graph": "org.janusgraph.core.JanusGraphFactory", "storage.backend": "inmemory"},
        "org.janusgraph.graphdb.tinkerpop.plugin.JanusGraphGremlinPlugin",
        "org.janusgraph.graphdb.tinkerpop.JanusGraphIoRegistry",
        "graphManager: org.janusgraph.graphdb.management.JanusGraphManager",
    )


def tinkerpop(place, coordinates, main, graph, plugin, registry, more=""):
    port = free_port()
    (place / "graph.properties").write_text("".join(f"{key}={value}\n" for key, value in graph.items()))
    (place / "init.groovy").write_text("def globals = [:]; globals << [g : traversal().withEmbedded(graph)]\n")
    # The channelizer that JanusGraph's own configuration names is not in its jars; TinkerPop's does the same.
    (place / "server.yaml").write_text(
        f"""host: 127.0.0.1
port: {port}
evaluationTimeout: 60000
channelizer: org.apache.tinkerpop.gremlin.server.channel.WsAndHttpChannelizer
{more}
graphs: {{ graph: {place / 'graph.properties'} }}
scriptEngines: {{ gremlin-lang: {{}}, gremlin-groovy: {{ plugins: {{
  {plugin}: {{}}, org.apache.tinkerpop.gremlin.server.jsr223.GremlinServerGremlinPlugin: {{}},
  org.apache.tinkerpop.gremlin.jsr223.ScriptFileGremlinPlugin: {{files: [{place / 'init.groovy'}]}}}}}}}}
serializers:
  - {{ className: org.apache.tinkerpop.gremlin.util.ser.GraphBinaryMessageSerializerV1, config: {{ ioRegistries: [{registry}] }} }}
  - {{ className: org.apache.tinkerpop.gremlin.util.ser.GraphSONMessageSerializerV3, config: {{ ioRegistries: [{registry}] }} }}
"""
    )
    return started(Process(main.rsplit(".", 1)[-1], java(coordinates, main, place / "server.yaml"), port, place / "log"))


def started(server, ready=lambda: True):
    server.wait_open(90)
    if until(lambda: not server.alive() or ready(), 60) is None or not server.alive():
        server.stop()
        raise RuntimeError(f"{server.name} does not start: {server.tail()}")
    return server


def java(coordinates, *words):
    # They live for minutes: the compiler that is quick, not the one whose code is.
    return ["java", "-Xmx700m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars(coordinates)}/*", *words]


def jars(coordinates):
    """A folder with the jars of Maven coordinates and of all that they need, fetched once."""
    lab.debian(mvn="maven", javac="openjdk-17-jdk-headless")
    _, name, version = coordinates[-1].split(":")
    place = lab.folder("maven", f"{name}-{version}")
    done = place / "coordinates"
    if not done.is_file() or done.read_text().split() != coordinates:
        lab.say(f"fetching {name} {version}")
        parts = (coordinate.split(":") for coordinate in coordinates)
        wanted = "".join(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{number}</version></dependency>"
            for group, artifact, number in parts
        )
        (place / "pom.xml").write_text(
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>lab</groupId>'
            f"<artifactId>{name}</artifactId><version>1</version><dependencies>{wanted}</dependencies></project>"
        )
        command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib"]
        subprocess.run(command, cwd=place, check=True)
        done.write_text("\n".join(coordinates))
    return place / "lib"
