"""A server and its builders as the system sees them: processor time, memory, cores."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psutil

_BUILDER: Final = "lutra.index.builds.builder"


@dataclass(frozen=True, slots=True)
class Usage:
    """Since their start: ``*_cpu_s``, ``*_written_mb``. Of this moment: the rest."""

    server_cpu_s: float
    builders_cpu_s: float
    server_mb: float
    builders_mb: float
    builders: int


class Processes:
    """Of one running server; one thread."""

    def __init__(self, server_pid: int) -> None:
        self._server = psutil.Process(server_pid)
        self._ended_cpu_s = 0.0
        self._last: dict[int, float] = {}
        self.server_mb_max = 0.0
        self.builders_mb_max = 0.0

    def usage(self) -> Usage:
        """Raises psutil.Error where the server has ended."""
        times, memory_mb = self._server.cpu_times(), self._server.memory_info().rss / 1e6
        now: dict[int, float] = {}
        builders_mb = 0.0
        for builder in self._builders():
            with suppress(psutil.Error):
                spent, held = builder.cpu_times(), builder.memory_info().rss
                now[builder.pid] = spent.user + spent.system
                builders_mb += held / 1e6
        self._ended_cpu_s += sum(spent_s for pid, spent_s in self._last.items() if pid not in now)
        self._last = now
        self.server_mb_max = max(self.server_mb_max, memory_mb)
        self.builders_mb_max = max(self.builders_mb_max, builders_mb)
        builders_cpu_s = self._ended_cpu_s + sum(now.values())
        return Usage(times.user + times.system, builders_cpu_s, memory_mb, builders_mb, len(now))

    def pin_server(self, cores: Iterable[int]) -> None:
        """To these cores, every thread of it."""
        pin(self._server.pid, set(cores))

    def pin_builders(self, cores: Iterable[int]) -> None:
        """The same of all builders there are at this moment."""
        for builder in self._builders():
            pin(builder.pid, set(cores))

    def pin_ray(self, cores: Iterable[int]) -> None:
        """The same of whatever else the server has started: where Ray builds, all that is Ray's."""
        builders = {builder.pid for builder in self._builders()}
        for child in self._server.children(recursive=True):
            if child.pid not in builders:
                pin(child.pid, set(cores))

    def raise_builders(self) -> None:
        """Has builders stand where everybody does in line for processor and disk. Takes root, or CAP_SYS_NICE."""
        for builder in self._builders():
            with suppress(OSError, psutil.Error):
                builder.ionice(psutil.IOPRIO_CLASS_NONE)
                for thread in os.listdir(f"/proc/{builder.pid}/task"):
                    os.setpriority(os.PRIO_PROCESS, int(thread), 0)

    def _builders(self) -> list[psutil.Process]:
        found = []
        for child in self._server.children(recursive=True):
            with suppress(psutil.Error):
                if _BUILDER in child.cmdline():
                    found.append(child)
        return found


def pin(pid: int, cores: set[int]) -> None:
    """All threads of a process to these cores, and those that they start."""
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), cores)
