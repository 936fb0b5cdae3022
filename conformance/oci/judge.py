"""What the suite and our own checks found, judged: whatever did not pass has to be expected, with a reason."""

import re
from collections import Counter
from pathlib import Path

from rig import lab


class Judge:
    """Adds up results. `expected` names a file with what may be skipped or disabled, and why."""

    def __init__(self, expected):
        lines = [line.split("  # ", 1) for line in Path(expected).read_text().splitlines() if line and not line.startswith("#")]
        # A line without a reason is an error.
        self.expected = [re.compile(pattern.strip()) for pattern, _reason in lines]
        self.passed, self.wrong = 0, 0

    def __call__(self, title, results):
        """Says what came of one part, and what is wrong with it."""
        wrong = [result for result in results if not self.excused(result)]
        counts = Counter(result.status for result in results)
        lab.say(f"{title}: {counts['Pass']} pass, {counts['Skip']} skip, {counts['Disabled']} disabled, {len(wrong)} wrong")
        report(wrong)
        self.passed += counts["Pass"]
        self.wrong += len(wrong) or (not counts["Pass"])

    def excused(self, result):
        if result.status in ("Skip", "Disabled"):
            return any(pattern.fullmatch(result.name) for pattern in self.expected)
        return result.status == "Pass"


def report(wrong):
    """Each wrong leaf once, with how often it occurred and what is said of it."""
    for (status, name, notes), count in Counter((result.status, result.name, tuple(result.notes)) for result in wrong).items():
        lab.say(f"  {status}: {name}" + (f" ({count} times)" if count > 1 else ""))
        for note in notes:
            lab.say(f"    {note}")
