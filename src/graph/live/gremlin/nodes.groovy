rows.each { row ->
    def vertex = g.V().has('uid', row.uid).tryNext().orElse(null)
    // A label cannot change. Edges of the vertex are brought after it.
    if (vertex != null && vertex.label() != row.label) {
        vertex.remove()
        vertex = null
    }
    if (vertex == null) {
        vertex = g.addV(row.label).property('uid', row.uid).next()
    } else {
        vertex.properties().toList().each { if (it.key() != 'uid' && !row.set.containsKey(it.key())) it.remove() }
    }
    row.set.each { name, value -> vertex.property(name, value) }
}
null
