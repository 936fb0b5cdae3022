// Vertices are found by their uid.
def store = g.getGraph()
if (store.metaClass.respondsTo(store, 'openManagement')) {
    def management = store.openManagement()
    if (management.containsGraphIndex('harbinger_uid')) {
        management.rollback()
    } else {
        def uid = management.getPropertyKey('uid') ?: management.makePropertyKey('uid').dataType(String.class).make()
        management.buildIndex('harbinger_uid', org.apache.tinkerpop.gremlin.structure.Vertex.class).addKey(uid).unique().buildCompositeIndex()
        management.commit()
    }
} else if (store.metaClass.respondsTo(store, 'createIndex')) {
    def vertices = org.apache.tinkerpop.gremlin.structure.Vertex.class
    if (!store.getIndexedKeys(vertices).contains('uid')) store.createIndex('uid', vertices)
}
null
