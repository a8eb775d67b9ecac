"""Which process of which machine, told so that no other is ever taken for it: numbers of processes are used again."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from lutra.kernels.process_stat import STARTED_TICKS, STATE, stat_fields

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_LOOK_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """``started``: in clock ticks since ``boot``, the machine's last start by its random id."""

    host: str
    boot: str
    pid: int
    started: int

    @classmethod
    def this(cls) -> Process:
        """The one that asks."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Process:
        """A process of this machine; ``started`` is 0 where there is none of that number."""
        return cls(socket.gethostname(), _boot(), pid, _started(pid))

    @classmethod
    def read(cls, path: Path) -> Process | None:
        """The one of which a file tells, which may have ended; None where there is no file that does."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Has a file tell of it, from one moment to the next. Raises OSError."""
        unnamed = path.with_name(f"{path.name}.{os.getpid()}")
        unnamed.write_text(json.dumps(asdict(self)), encoding="utf-8")
        unnamed.replace(path)

    @property
    def is_here(self) -> bool:
        """Whether it is, or was, of this machine, and since that was last started."""
        return (self.host, self.boot) == (socket.gethostname(), _boot())

    @property
    def is_running(self) -> bool:
        """Of a process that `is_here`: whether it has not ended yet."""
        return self.is_here and self.started != 0 and _started(self.pid) == self.started

    def send(self, number: signal.Signals) -> bool:
        """Sends a signal to this process and never to another. Whether it was there to take it. Raises OSError."""
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.is_running:  # looked at while the descriptor holds on to whoever has the number
                    signal.pidfd_send_signal(descriptor, number)
                    return True
            finally:
                os.close(descriptor)
        return False

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within that time."""
        until_s = time.monotonic() + timeout_s
        while self.is_running:
            if time.monotonic() >= until_s:
                return False
            time.sleep(_LOOK_S)
        return True


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> int:
    """0 where there is no such process, or it has ended and nobody has taken note yet."""
    try:
        fields = stat_fields(pid)
    except OSError:
        return 0
    return 0 if fields[STATE] in ("Z", "X") else int(fields[STARTED_TICKS])
