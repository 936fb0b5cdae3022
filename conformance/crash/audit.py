"""Looks at all keys of all workers over HTTP, after a crash, and lets their ledgers judge."""

import json
from concurrent.futures import ThreadPoolExecutor

from oracle import UPLOAD
from rig import content
from wire import Unanswered, Wire

READERS = 4


def check(workers, url, forgetful=False):
    """Complaints, empty when all is as it must be. The ledgers know afterwards what there is."""
    complaints = []
    with ThreadPoolExecutor(READERS) as readers:
        for worker, (seen, wrong) in zip(workers, readers.map(lambda worker: look(worker, url), workers)):
            wrong += worker.ledger.judge(seen, forgetful)
            complaints += [f"{worker}: {what}" for what in wrong]
    return complaints + lists(workers, url)


def look(worker, url):
    """What exists of a worker's keys, and what is wrong with it whatever the ledger says."""
    wire, seen, wrong = Wire(url), {}, []
    try:
        for blob, data in worker.pool.blobs.items():
            answer = wire.ask("GET", f"{worker.base}/blobs/{blob}")
            if there(answer, f"blob {blob}", wrong):
                seen["blob", blob] = True
                if answer.body != data:
                    wrong.append(f"blob {blob} has other bytes: {size(answer.body)}, not {len(data)}")
        for manifest, data in worker.pool.manifests.items():
            answer = wire.ask("GET", f"{worker.base}/manifests/{manifest}", headers={"Accept": content.ACCEPT})
            if there(answer, f"manifest {manifest}", wrong):
                seen["manifest", manifest] = True
                if answer.body != data or answer.headers["Content-Type"] != content.MANIFEST:
                    wrong.append(f"manifest {manifest} has other bytes ({size(answer.body)}, not {len(data)}) or another type")
        for tag in worker.tags:
            answer = wire.ask("GET", f"{worker.base}/manifests/{tag}", headers={"Accept": content.ACCEPT})
            if there(answer, f"tag {tag}", wrong):
                seen["tag", tag] = content.digest(answer.body or b"")
        for key, place in list(worker.places.items()):
            answer = wire.ask("GET", place)
            if answer.status == 204:
                seen[UPLOAD, key] = answer.size
                worker.places[key] = answer.place
            else:
                if answer.status != 404:
                    wrong.append(f"upload {key} was answered {answer.status}")
                del worker.places[key]
    except Unanswered as error:
        wrong.append(f"no answer from a living server: {error}")
    finally:
        wire.close()
    return seen, wrong


def there(answer, what, wrong):
    """200 and 404 are the only answers that say something; anything else is wrong in itself."""
    if answer.status not in (200, 404):
        wrong.append(f"{what} was answered {answer.status}: {(answer.body or b'')[:200]!r}")
    return answer.status == 200


def lists(workers, url):
    """Tag lists and referrers must say just what the single keys say."""
    complaints = []
    wire = Wire(url)
    try:
        for repository in sorted({worker.repository for worker in workers}):
            here = [worker for worker in workers if worker.repository == repository]
            wanted = sorted(name for worker in here for kind, name in worker.ledger.world if kind == "tag")
            answer = wire.ask("GET", f"/v2/{repository}/tags/list")
            listed = (json.loads(answer.body)["tags"] or []) if answer.status == 200 else []
            if answer.status not in (200, 404) or listed != wanted:
                complaints.append(f"{repository}: tags listed are {listed} ({answer.status}), not {wanted}")
            for worker in here:
                if worker.pool.subject and "referrers" not in worker.kind.lacks:
                    complaints += referrers(worker, wire)
    except Unanswered as error:
        complaints.append(f"no answer from a living server: {error}")
    finally:
        wire.close()
    return complaints


def referrers(worker, wire):
    answer = wire.ask("GET", f"{worker.base}/referrers/{worker.pool.subject}")
    if answer.status != 200:
        return [f"{worker}: referrers were answered {answer.status}"]
    listed = {entry["digest"] for entry in json.loads(answer.body)["manifests"]}
    wanted = {artifact for artifact in worker.pool.artifacts() if ("manifest", artifact) in worker.ledger.world}
    return [] if listed == wanted else [f"{worker}: referrers listed are {sorted(listed)}, not {sorted(wanted)}"]


def size(body):
    return "cut off" if body is None else len(body)
