"""A process that splits the only partition of a cluster, and kills itself at one of its operations on the store.

``python -m support.split_killed ROOT NUMBER``: after so many operations that the split makes, 0 for none. It says how
many there were where it comes to its end.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from support.killing_store import Killer, KillingStore, KillPoint, T, die
from support.one_node import OneNode

from lutra.objects.local import LocalStore


class CountingKiller(Killer):
    """Of every operation, once it is armed."""

    def __init__(self, number: int) -> None:
        super().__init__(KillPoint("any", ""))
        self.number = number
        self.done = 0
        self.is_armed = False
        self._counting = threading.Lock()

    def run(self, kind: str, name: str, act: Callable[[], T]) -> T:
        result = act()
        if self.is_armed and kind != "local_path":
            with self._counting:
                self.done += 1
                if self.done == self.number:
                    die()
        return result


def main(root: Path, number: int) -> None:
    killer = CountingKiller(number)
    node = OneNode(root, KillingStore(LocalStore(root), killer))
    node.searched()
    killer.is_armed = True
    node.split()
    sys.stdout.write(f"{killer.done}\n")
    sys.stdout.flush()
    die()  # as abruptly as at any other moment


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
