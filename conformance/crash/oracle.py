"""What the registry may hold of one worker's keys, as the answers that it gave allow. It shares nothing with any registry.

A world is a map of what exists: `("blob", digest)` and `("manifest", digest)` to True, `("tag", name)` to a digest, and
`("upload", id)` to the `range` of sizes that this open upload may have. Keys belong to one worker, which does one thing after
another, so that there are two worlds only while a request has no answer: the one before it and the one after it.
"""

UPLOAD = "upload"


class Ledger:
    def __init__(self):
        self.worlds = [{}]
        self.unheard = 0
        """Requests for an upload that were never answered: each may have left one that nobody knows."""
        self.done = self.undone = 0
        """Changes that had no answer, by what was found of them afterwards."""

    @property
    def world(self):
        """What exists; only while nothing is in flight."""
        (world,) = self.worlds
        return world

    def flight(self, *worlds):
        """A request leaves; when no answer comes, any of these is right."""
        self.worlds = list(worlds)

    def landed(self, world):
        self.worlds = [world]

    def judge(self, seen, forgetful=False):
        """Compares what is `seen` (sizes of uploads as plain numbers) with the worlds, and takes it for the truth from then
        on. Gives what is wrong with it, measured against the world it is closest to. A `forgetful` registry, one after a power
        cut, may have forgotten uploads, their last bytes, and that they have ended."""
        verdicts = [differences(world, seen, forgetful) for world in self.worlds]
        if len(verdicts) > 1:
            self.undone += not verdicts[0]
            self.done += bool(verdicts[0])
        self.worlds = [{key: range(value, value + 1) if key[0] == UPLOAD else value for key, value in seen.items()}]
        return min(verdicts, key=len)


def differences(world, seen, forgetful):
    found = []
    for key in sorted(world.keys() | seen.keys()):
        wanted, got = world.get(key), seen.get(key)
        if key[0] != UPLOAD:
            right = wanted == got
        elif forgetful:
            right = wanted is None or got is None or got < wanted.stop
        else:
            right = wanted == got or None not in (wanted, got) and got in wanted
        if not right:
            found.append(f"{' '.join(key)}: {describe(got)}, not {describe(wanted)}")
    return found


def is_loss(complaint):
    """Whether a complaint, of the audit or of a ledger, is about content that was acknowledged and is gone or wrong."""
    return complaint.endswith("absent, not there") or " has other bytes" in complaint


def describe(value):
    if value is None:
        return "absent"
    if value is True:
        return "there"
    if isinstance(value, range):
        return f"{value.start} bytes" if len(value) == 1 else f"{value.start} to {value[-1]} bytes"
    if isinstance(value, int):
        return f"{value} bytes"
    return str(value)


def having(world, **more):
    """The world with keys added: `having(world, tag={"v1": digest}, blob={digest: True})`."""
    return world | {(kind, name): value for kind, named in more.items() for name, value in named.items()}


def lacking(world, *keys):
    return {key: value for key, value in world.items() if key not in keys}
