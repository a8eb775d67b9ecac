"""What a server takes, all its processes together."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Memory:
    """``pss_mb``: what the processes share is counted once; ``rss_mb``: as often as they are."""

    pss_mb: float
    rss_mb: float


def cpu_s(pid: int) -> float:
    """Of a process and all below it, those that ended included. Raises psutil.NoSuchProcess where it has ended."""
    spent_s = 0.0
    for process in _processes(pid):
        with suppress(psutil.NoSuchProcess):  # it has just ended: its parent has its time now, or will have soon
            times = process.cpu_times()
            spent_s += times.user + times.system + times.children_user + times.children_system
    return spent_s


def memory(pid: int) -> Memory:
    """Of this moment. It takes some ms a process, so not while something is measured."""
    pss = rss = 0.0
    for process in _processes(pid):
        with suppress(psutil.NoSuchProcess):
            held = process.memory_full_info()
            pss, rss = pss + held.pss, rss + held.rss
    return Memory(pss / 1e6, rss / 1e6)


def _processes(pid: int) -> list[psutil.Process]:
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]
