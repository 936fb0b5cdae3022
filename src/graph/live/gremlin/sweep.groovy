// Edges first, then vertices; what nobody has exported bears no generation.
def old = g.E().has('harbinger_generation').filter(__.values('harbinger_generation').is(neq(generation))).limit(most).toList()
if (old.isEmpty()) {
    old = g.V().has('harbinger_generation').filter(__.values('harbinger_generation').is(neq(generation))).limit(most).toList()
}
old.each { it.remove() }
old.size()
