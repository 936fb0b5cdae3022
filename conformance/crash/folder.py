"""What must be in the data folder when all is done: nothing that nobody can reach."""

import random
import re

import audit
import registries
from stage import Stage
from wire import Unanswered
from worker import Surprise


def close(registry, workers, data, forgetful=False):
    """Starts a last time, ends all open uploads, collects what has no link, and looks into the folder. Gives what is wrong."""
    wrong = wrong_at_the_end(registry, workers, data, forgetful) + panics(registry)
    return list(dict.fromkeys(wrong))


def wrong_at_the_end(registry, workers, data, forgetful):
    server = registry.start(data)
    try:
        server.wait_open()
        wrong = audit.check(workers, server.url, forgetful)
        wrong += end_uploads(workers, server.url)
        if "gc" in registry.lacks:
            return wrong + audit.check(workers, server.url)
        wrong += make_garbage(workers, server.url)
        wrong += collect(registry, linked(workers), "would delete", "--dry-run")
        wrong += collect(registry, linked(workers), "deleted")
        wrong += collect(registry, linked(workers), "deleted", garbage=0)
        wrong += audit.check(workers, server.url)
        wrong += content(registry, workers, data) + uploads(registry, workers, data)
        server.stop()
        wrong += collect(registry, linked(workers), "would delete", "--dry-run", garbage=0)
        wrong += collect(registry, linked(workers), "deleted", garbage=0)
        return wrong + content(registry, workers, data)
    except RuntimeError as error:
        return [str(error)]
    finally:
        server.stop()


def end_uploads(workers, url):
    """Finishes every upload: each must take the rest of its bytes and become its blob."""

    def finish(worker):
        for key in worker.uploads_open():
            worker.complete(key)

    return each(workers, url, finish)


def make_garbage(workers, url):
    """Deletes a little everywhere, so that there is something to collect for certain."""

    def delete(worker):
        for _ in range(3):
            worker.delete_manifest()
            worker.delete_blob()

    return each(workers, url, delete)


def each(workers, url, work):
    wrong = []
    for worker in workers:
        try:
            with worker.on(Stage(url), random.Random(0)):
                work(worker)
        except (Surprise, Unanswered) as error:
            wrong.append(f"{worker}: {error}")
    return wrong


def linked(workers):
    return {name for worker in workers for kind, name in worker.ledger.world if kind in ("blob", "manifest")}


def collect(registry, linked, verb, *more, garbage=None):
    """Runs `harbinger gc` to its end: of all content it looks at, whatever is not linked is garbage."""
    collector = registry.collector("0s", *more)
    printed = collector.communicate()[0]
    looked, said = re.search(r"looked at (\d+)", printed), re.search(rf"^{verb} (\d+) blobs?\b", printed.strip().rpartition("\n")[2])
    if collector.returncode or not looked or not said:
        return [f"gc {' '.join(more)} ended with {collector.returncode} and {printed[-200:]!r}"]
    looked, said = int(looked[1]), int(said[1])
    if looked - said != len(linked) or garbage not in (None, said):
        return [f"gc {' '.join(more)} looked at {looked} and {verb} {said}, but {len(linked)} are linked"]
    return []


def content(registry, workers, data):
    """Nothing but what is linked, and all of it that is large enough for a file; the rest is in the catalog."""
    stored, strangers = registry.stored(data)
    large = {name for name in linked(workers) if size(workers, name) > registry.INLINE}
    wrong = [f"orphan in the folder: {name}" for name in sorted(stored - linked(workers))]
    wrong += [f"linked but not in the folder: {name}" for name in sorted(large - stored)]
    return wrong + [f"a stranger in the folder: {name}" for name in strangers]


def size(workers, name):
    return next(len(data) for worker in workers for data in [worker.pool.blobs.get(name) or worker.pool.manifests.get(name)] if data)


def uploads(registry, workers, data):
    """All uploads that anybody knows have ended. Others may only be those whose beginning was never answered."""
    left, strangers = registry.uploads(data)
    strangers += [str(file.relative_to(data)) for file in registries.files(data / "spool")]
    known = {key for worker in workers for key in worker.targets}
    wrong = [f"a stranger among the uploads: {name}" for name in strangers]
    wrong += [f"an upload that has ended: {name}" for name in sorted(left & known)]
    unheard = sum(worker.ledger.unheard for worker in workers)
    if len(left) > unheard:
        wrong.append(f"{len(left)} uploads are left, but the answers of only {unheard} requests for one were lost")
    return wrong


def panics(registry):
    log = (registry.place / "log").read_text(errors="replace")
    return [f"a panic in the log: {line}" for line in log.splitlines() if "panicked at" in line]
