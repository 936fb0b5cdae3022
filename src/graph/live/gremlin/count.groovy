[g.V().has('harbinger_generation', generation).count().next(), g.E().has('harbinger_generation', generation).count().next()]
