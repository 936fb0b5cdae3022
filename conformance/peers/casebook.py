"""The yes/no table: every case asked of every mirror."""

from concurrent.futures import ThreadPoolExecutor

from cases import edges, outage, sharing, truth
from cases.world import Missed, World
from rig import lab

CASES = [*sharing.CASES, *truth.CASES, *outage.CASES, *edges.CASES]


def ask(mirrors):
    """Verdicts by mirror and case: None when it is held, else what happened instead."""
    verdicts = {}
    for case in CASES:
        # The mirrors take the case side by side, each in a world of its own: most of its time is waiting.
        with ThreadPoolExecutor(len(mirrors)) as worlds:
            for mirror, found in zip(mirrors, worlds.map(lambda mirror: verdict(mirror, case), mirrors)):
                verdicts[mirror, case] = found
        said = "   ".join(f"{mirror}: {verdicts[mirror, case] or 'yes'}" for mirror in mirrors)
        lab.say(f"  {case.__doc__}\n      {said}")
    return verdicts


def verdict(mirror, case):
    place = lab.folder("peers", "cases", mirror, case.__name__, fresh=True)
    try:
        with World(mirror, place) as world:
            case(world)
    except Missed as missed:
        return str(missed).splitlines()[0]
    except OSError as error:
        return f"no answer ({error})"
    return None
