"""A graph as two dictionaries, so that one that is held here and one that a database holds can be compared."""

from collections import Counter

VOLATILE = {"requests_hour", "requests_day", "requests_week", "last_request", "weight"}
"""What decays, and so is another thing at another moment."""


class Picture:
    """`nodes`: kind and properties by id. `edges`: properties by start, kind, key and end."""

    def __init__(self, nodes, edges):
        self.nodes = {name: (kind, settled(properties)) for name, kind, properties in nodes}
        self.edges = {(start, kind, key, end): settled(properties) for start, kind, key, end, properties in edges}

    def kinds(self):
        """How many nodes and edges of each kind there are."""
        return Counter(kind for kind, _ in self.nodes.values()), Counter(kind for _, kind, _, _ in self.edges)

    def differs(self, other):
        """The first thing in which they differ, as text; None when they are the same."""
        for what, ours, theirs in (("node", self.nodes, other.nodes), ("edge", self.edges, other.edges)):
            if missing := ours.keys() - theirs.keys():
                return f"{len(missing)} {what}s are missing, such as {min(missing)}"
            if surplus := theirs.keys() - ours.keys():
                return f"{len(surplus)} {what}s are too many, such as {min(surplus)}"
            for name, value in ours.items():
                if value != theirs[name]:
                    return f"{what} {name} is {theirs[name]}, not {value}"
        return None


def settled(properties):
    return {name: value for name, value in properties.items() if name not in VOLATILE}


def of_records(records):
    """The picture of records as `harbinger graph export --format ndjson` tells them."""
    nodes, edges = [], []
    for record in records:
        properties = dict(record["properties"])
        if record["type"] == "node":
            nodes.append((record["id"], record["kind"], properties))
        else:
            edges.append((record["from"], record["kind"], record["key"], record["to"], properties))
    return Picture(nodes, edges)
