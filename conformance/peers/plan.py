"""How much is measured: everything, or what a continuous integration can wait for."""

from dataclasses import dataclass

from stage import SIZES

WHAT = ["manifest by tag", "manifest by digest", *(f"blob {name}" for name in SIZES)]


@dataclass
class Plan:
    """`cells` are (what, connections); those in `core` are measured `rounds` times and give their median."""

    seconds: int
    rounds: int
    cells: list[tuple[str, int]]
    core: set[tuple[str, int]]


def full(seconds, rounds):
    core = {(what, 64) for what in WHAT}
    return Plan(seconds, rounds, [(what, connections) for what in WHAT for connections in (1, 16, 64)], core)


def quick():
    return Plan(1, 1, [(what, 16 if "MB" in what else 64) for what in WHAT], set())
