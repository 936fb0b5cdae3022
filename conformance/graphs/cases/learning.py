"""What the graph learns from a registry, from a list, and from nobody."""

from rig.expectation import expect


def registry(scene):
    """a whole registry is learned by its manifests alone, the index's children and the configurations' times too"""
    blobs = scene.requests("GET", "/blobs/")
    fetched = scene.learn()
    expect(fetched == scene.count, f"{fetched} manifests were fetched, not {scene.count}")
    ours = scene.picture()
    kinds, edges = ours.kinds()
    expect((kinds["index"], edges["child"]) == (1, 3), f"{kinds['index']} indexes with {edges['child']} manifests")
    created = [properties for kind, properties in ours.nodes.values() if kind == "manifest" and "created" in properties]
    expect(len(created) >= scene.count - 3, f"of {len(created)} images it is known when they were made")
    configs = scene.requests("GET", "/blobs/") - blobs
    expect(configs <= scene.count, f"{configs} blobs were fetched")


def nothing_twice(scene):
    """learned again, no manifest is fetched"""
    before = scene.requests("GET", "/manifests/")
    expect(scene.learn() == 0, "manifests were fetched again")
    expect(scene.requests("GET", "/manifests/") == before, "the registry was asked for manifests")


def some_repositories(scene):
    """a pattern chooses repositories"""
    said = scene.must("import", "--registry", "origin.test", "--repo", "base/*", "--repo", "app/multi").stdout
    expect(said.startswith("7 images learned, 0 manifests fetched"), said)


def images(scene):
    """a list of images is learned, and what is not there is told"""
    listed = "# for people\norigin.test/app/app000:1.0.0\n\norigin.test/app/app001\norigin.test/app/app002:1.0.0  # too\n"
    done = scene.run("import", "--images", "-", text=listed)
    expect(done.returncode == 1, f"it ended with {done.returncode}")
    expect("app/app001:latest" in done.stderr, f"it does not say what is missing: {done.stderr}")
    expect(done.stdout.startswith("2 images learned, 0 manifests fetched, 0 that the registry lacks, 1 images failed"), done.stdout)


def wrong_targets(scene):
    """nobody there, another server, another scheme, no registry: an error that says what is wrong"""
    for words, said in (
        (["export", "--live", "bolt://127.0.0.1:1"], "cannot be reached"),
        (["export", "--live", f"bolt://127.0.0.1:{scene.origin.port}"], "is not a Neo4j"),
        (["export", "--live", f"ws://127.0.0.1:{scene.origin.port}/gremlin"], "is not a Gremlin Server"),
        (["export", "--live", "ws://127.0.0.1:1/gremlin"], "cannot be reached"),
        (["export", "--live", "bolt+s://127.0.0.1"], "TLS"),
        (["export", "--live", "http://127.0.0.1"], "bolt://HOST"),
        (["import", "--registry", "http://127.0.0.1:1"], "cannot be"),
    ):
        done = scene.run(*words)
        expect(done.returncode == 1, f"{words} ended with {done.returncode}")
        expect(said in done.stderr, f"{words}: {done.stderr}")


CASES = [registry, nothing_twice, some_repositories, images, wrong_targets]
