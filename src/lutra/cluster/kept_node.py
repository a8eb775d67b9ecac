"""A node's process that outlives whoever started it, and is found again by the next who is to keep it running."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from lutra.cluster.lease_records import NodeRecord, NodeState
from lutra.cluster.node_process import NodeSettings
from lutra.cluster.process import Process
from lutra.model.errors import StorageFailure

_LAUNCH: Final = (
    "import subprocess, sys\n"
    "log = open(sys.argv[1], 'ab')\n"
    "command = dict(stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)\n"
    "print(subprocess.Popen(sys.argv[2:], **command).pid)\n"
)
"""Run by a process that ends at once: the node is nobody's child, so it ends with nobody."""
_LAUNCH_S: Final = 60.0
_PAUSE_MIN_S: Final = 1.0
_PAUSE_MAX_S: Final = 30.0
_SETTLED_S: Final = 60.0
"""A node that ran so long is started again at once, as often as it ends."""
_LEFT_S: Final = 60.0
"""One that was told to stop, by who takes the machine away, is not started again at once."""
_UNSEEN_S: Final = 12.0
"""A node of another machine whose lease was not renewed for so long is not there any more. Its successor waits for its
lease anyway (`lutra.cluster.node_lease`): this spares starting one in vain."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """How a node is: ``where`` one of "here", "elsewhere" and "nowhere"; ``endpoint`` once it takes requests.

    ``keeper``: the number of the process that keeps it.
    """

    name: str
    where: str
    pid: int | None
    endpoint: str | None
    starts: int
    keeper: int


Record = tuple[int, NodeRecord] | None
"""The newest number of a node's lease, and what it says; None where it has none."""


class KeptNode:
    """One node, kept running on this machine by calling `step` about once a second. One thread uses it.

    Whoever did so before may have died: what runs is found by a file in ``folder``, or by what its lease says.
    """

    def __init__(
        self,
        settings: NodeSettings,
        folder: Path,
        record_of: Callable[[str], Record],
        environment: Mapping[str, str],
    ) -> None:
        """``record_of``: of the node of that name; it may raise StorageFailure."""
        self.settings = settings
        self._file = folder / f"{settings.name}.json"
        self._log = folder / f"{settings.name}.log"
        self._record_of = record_of
        self._environment = dict(environment)
        self._process: Process | None = None
        self._started_s = self._retry_at_s = 0.0
        self._pause_s = _PAUSE_MIN_S
        self._seen: tuple[int, float] | None = None
        self._kept = Kept(settings.name, "nowhere", None, None, 0, os.getpid())

    @property
    def kept(self) -> Kept:
        """As of the last step. Any thread may look."""
        return self._kept

    def step(self, now_s: float) -> None:
        """Finds the node, or starts it where it is nowhere. Raises StorageFailure.

        Reads its lease once at the most, and not at all where it is known to run and where it takes requests.
        """
        record = cache(self._record)
        process = self._process or self._found(record)
        if process is not None and process.is_running:
            self._process = process
            if self._kept.endpoint is None or self._kept.pid != process.pid:
                self._tell("here", process.pid, _endpoint_of(process, record()))
            return
        self._ended(now_s, record)
        if self._is_elsewhere(now_s, record()):
            self._tell("elsewhere", None, None)
        elif now_s >= self._retry_at_s:
            self._start(now_s)

    def stop(self, grace_s: float) -> None:
        """Has it stop in good order; after ``grace_s`` by force."""
        process = self._process or self._found(self._record)
        if process is not None and process.send(signal.SIGTERM) and not process.wait(grace_s):
            process.send(signal.SIGKILL)
            process.wait(grace_s)
        self._file.unlink(missing_ok=True)
        self._process = None
        self._tell("nowhere", None, None)

    # --- finding it -------------------------------------------------------------------------------------------------

    def _record(self) -> Record:
        return self._record_of(self.settings.name)

    def _found(self, record: Callable[[], Record]) -> Process | None:
        """One that another has started, on this machine; by the lease only where no file tells of one, ended or not."""
        found = Process.read(self._file)
        if found is None:
            told = record()
            found = None if told is None or told[1].state.is_over else told[1].process
        return found if found is not None and found.is_running else None

    def _is_elsewhere(self, now_s: float, told: Record) -> bool:
        if told is None or told[1].state.is_over:
            return False
        if told[1].process is not None and told[1].process.is_here:
            return False
        if self._seen is None or self._seen[0] != told[0]:
            self._seen = told[0], now_s
        return now_s - self._seen[1] < _UNSEEN_S

    # --- starting it ------------------------------------------------------------------------------------------------

    def _ended(self, now_s: float, record: Callable[[], Record]) -> None:
        if self._process is None:
            return
        _log.warning("node %s (pid %d) has ended: it is started again", self.settings.name, self._process.pid)
        self._process = None
        self._tell("nowhere", None, None)
        if now_s - self._started_s >= _SETTLED_S:
            self._pause_s = _PAUSE_MIN_S
        told = record()
        was_told_to = told is not None and told[1].state is NodeState.LEFT
        self._retry_at_s = now_s + (_LEFT_S if was_told_to else self._pause_s)
        self._pause_s = min(2 * self._pause_s, _PAUSE_MAX_S)

    def _start(self, now_s: float) -> None:
        self._started_s = now_s
        try:
            self._log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            launched = subprocess.run(
                [sys.executable, "-c", _LAUNCH, str(self._log), *self.settings.command],
                stdout=subprocess.PIPE,
                env=self._environment,
                timeout=_LAUNCH_S,
                check=True,
            )
            self._process = Process.of(int(launched.stdout))
            self._process.write(self._file)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._retry_at_s = now_s + self._pause_s
            self._pause_s = min(2 * self._pause_s, _PAUSE_MAX_S)
            raise StorageFailure(f"node {self.settings.name} cannot be started: {error}") from error
        self._tell("here", self._process.pid, None, self._kept.starts + 1)

    def _tell(self, where: str, pid: int | None, endpoint: str | None, starts: int | None = None) -> None:
        """``starts``: None: as before."""
        starts = self._kept.starts if starts is None else starts
        self._kept = replace(self._kept, where=where, pid=pid, endpoint=endpoint, starts=starts)


def _endpoint_of(process: Process, told: Record) -> str | None:
    """None as long as it has not joined."""
    if told is None or told[1].state.is_over or told[1].process != process:
        return None
    return told[1].address


def keep(node: KeptNode, is_stopping: Callable[[], bool], look_s: float = 1.0) -> None:
    """Steps until it is to stop; what goes wrong is logged, and tried again."""
    while not is_stopping():
        try:
            node.step(time.monotonic())
        except StorageFailure as error:
            _log.warning("%s", error)
        time.sleep(look_s)
