"""A round's scene: the workers at work against one server, until somebody ends it."""

import threading
from concurrent.futures import ThreadPoolExecutor


class Stage:
    """`deaf`: answers that come after the end do not count, as when the power fails. `at` and `act`: right after that many
    changes were acknowledged, `act` is called by whoever got the last one."""

    def __init__(self, url, deaf=False, at=None, act=None):
        self.url, self.deaf = url, deaf
        self.over = threading.Event()
        self.changes = 0
        self._at, self._act = at, act
        self._lock = threading.Lock()

    def acknowledged(self, _what):
        with self._lock:
            self.changes += 1
            reached = self.changes == self._at
        if reached:
            self._act()

    def play(self, workers, draws, direct):
        """Lets the workers work while `direct`, called here, decides when it is over. Gives what was wrong."""
        with ThreadPoolExecutor(len(workers)) as hands:
            futures = [hands.submit(worker.work, self, draw) for worker, draw in zip(workers, draws)]
            try:
                direct()
            finally:
                self.over.set()
            return [future.result() for future in futures if future.result()]
