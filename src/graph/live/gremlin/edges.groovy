import org.apache.tinkerpop.gremlin.structure.Direction

def vertices = [:].withDefault { uid -> g.V().has('uid', uid).next() }
groups.each { group ->
    def from = vertices[group.from]
    def there = [:]
    from.edges(Direction.OUT, group.label).each {
        def key = it.property('edge_key')
        if (key.isPresent()) there[[it.inVertex().id(), key.value()]] = it
    }
    group.rows.each { row ->
        def to = vertices[row.to]
        def edge = there[[to.id(), row.set.edge_key]]
        if (edge == null) {
            edge = from.addEdge(group.label, to)
            there[[to.id(), row.set.edge_key]] = edge
        } else {
            edge.properties().toList().each { if (!row.set.containsKey(it.key())) it.remove() }
        }
        row.set.each { name, value -> edge.property(name, value) }
    }
}
null
